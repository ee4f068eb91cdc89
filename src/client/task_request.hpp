// Validated options of the calls about tasks: everything copied, every default filled in. Thread rule: free functions.
#pragma once

#include "client/logs_op.hpp"
#include "client/run_request.hpp"
#include "client/vm_ops.hpp"
#include "state/vm_record.hpp"

#include <string>

namespace pyro::client {

struct ExecRequest {
  std::string task_id;
  CommandRequest command;
  bool detach = false;
};

/// The record of a new task, without what only its creation tells. Errors: INVALID, UNSUPPORTED, LIMIT.
base::Result<state::VmRecord> make_task_record(const pyro_task_options& options, const std::string& engine_variable);
base::Result<ExecRequest> make_exec_request(const pyro_exec_options& options);
base::Result<LogsRequest> make_logs_request(const pyro_logs_options& options);
base::Result<ListRequest> make_list_request(const pyro_task_query& query);
/// Errors: INVALID.
base::Result<std::string> take_task_id(const char* id);
base::Result<std::uint64_t> take_ttl(double seconds);

}  // namespace pyro::client
