#include "client/task_request.hpp"

#include <algorithm>

namespace pyro::client {

namespace {

constexpr double kDefaultTtlSeconds = 600;
constexpr double kDefaultRetentionSeconds = 7 * 24 * 3600;
constexpr std::uint64_t kDefaultCommandLimit = 1000;
constexpr std::uint32_t kAllStates = (1U << (PYRO_VM_FAILED + 1)) - 1;

base::Result<state::Labels> take_labels(const char* const* texts, std::size_t count) {
  if (count != 0 && texts == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "labels is NULL, but label_count is {}", count);
  }
  if (count > state::kMaxLabels) {
    return base::make_error(PYRO_ERROR_LIMIT, "there are {} labels: {} are possible", count, state::kMaxLabels);
  }
  state::Labels labels;
  for (std::size_t i = 0; i < count; ++i) {
    if (texts[i] == nullptr) {
      return base::make_error(PYRO_ERROR_INVALID, "labels[{}] is NULL", i);
    }
    PYRO_TRY_ASSIGN(auto label, state::parse_label(texts[i]));
    labels.push_back(std::move(label));
  }
  std::sort(labels.begin(), labels.end());
  const auto twice =
      std::adjacent_find(labels.begin(), labels.end(), [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice != labels.end()) {
    return base::make_error(PYRO_ERROR_INVALID, "the label {} is given twice", twice->first);
  }
  return labels;
}

}  // namespace

base::Result<state::VmRecord> make_task_record(const pyro_task_options& options, const std::string& engine_variable) {
  pyro_run_options vm = PYRO_RUN_OPTIONS_INIT;
  vm.engine = options.engine;
  vm.environment = options.environment;
  vm.vcpu_count = options.vcpu_count;
  vm.mem_mib = options.mem_mib;
  vm.disk_mib = options.disk_mib;
  vm.network = options.network;
  vm.boot_timeout_seconds = options.boot_timeout_seconds;
  vm.max_lifetime_seconds = options.max_lifetime_seconds;
  PYRO_TRY_ASSIGN(const VmSpec spec, make_vm_spec(vm, engine_variable));
  state::VmRecord record;
  record.environment = spec.environment;
  // An explicit choice holds for every start; AUTO is decided anew at each.
  record.engine = options.engine;
  record.vcpu_count = spec.vcpu_count;
  record.mem_mib = spec.mem_mib;
  record.disk_mib = spec.disk_mib;
  record.boot_timeout_ms = spec.boot_timeout_ms;
  record.max_lifetime_ms = spec.max_lifetime_ms;
  PYRO_TRY_ASSIGN(record.ttl_ms, take_ttl(options.ttl_seconds));
  PYRO_TRY_ASSIGN(record.retention_ms, duration_ms("retention_seconds", options.retention_seconds,
                                                   kDefaultRetentionSeconds, kYearSeconds, true));
  PYRO_TRY_ASSIGN(record.labels, take_labels(options.labels, options.label_count));
  return record;
}

base::Result<ExecRequest> make_exec_request(const pyro_exec_options& options) {
  pyro_run_options command = PYRO_RUN_OPTIONS_INIT;
  command.command = options.command;
  command.argv = options.argv;
  command.argc = options.argc;
  command.env = options.env;
  command.env_count = options.env_count;
  command.cwd = options.cwd;
  command.user = options.user;
  command.stdin_data = options.stdin_data;
  command.stdin_size = options.stdin_size;
  command.stdin_mode = options.stdin_mode;
  command.pty = options.pty;
  command.pty_rows = options.pty_rows;
  command.pty_columns = options.pty_columns;
  command.timeout_seconds = options.timeout_seconds;
  command.output_limit_bytes = options.output_limit_bytes;
  ExecRequest request;
  PYRO_TRY_ASSIGN(request.task_id, take_task_id(options.task_id));
  PYRO_TRY_ASSIGN(request.command, make_command_request(command));
  PYRO_TRY_ASSIGN(request.detach, flag("detach", options.detach));
  PYRO_TRY_ASSIGN(request.command.exec.keeps_stdin, flag("keep_stdin", options.keep_stdin));
  if (request.detach && (request.command.streams_stdin || !request.command.stdin_data.empty())) {
    return base::make_error(PYRO_ERROR_INVALID,
                            "a detached command has no input: there is nobody to send it; put it into a file first, or "
                            "use keep_stdin and attach to it");
  }
  // Its input stays open for who attaches.
  request.command.streams_stdin = request.command.streams_stdin ||
                                  (request.detach && (request.command.exec.pty || request.command.exec.keeps_stdin));
  return request;
}

base::Result<LogsRequest> make_logs_request(const pyro_logs_options& options) {
  LogsRequest request;
  PYRO_TRY_ASSIGN(request.task_id, take_task_id(options.task_id));
  if (options.mode > PYRO_LOGS_FOLLOW) {
    return base::make_error(PYRO_ERROR_INVALID, "mode is {}: 0 (list), 1 (stream) and 2 (follow) are possible",
                            options.mode);
  }
  request.mode = static_cast<pyro_logs_mode>(options.mode);
  request.command_number = options.command_number;
  request.command_limit = options.command_limit == 0 ? kDefaultCommandLimit : options.command_limit;
  request.output_limit_bytes = options.output_limit_bytes == 0 ? kDefaultOutputLimitBytes : options.output_limit_bytes;
  return request;
}

base::Result<ListRequest> make_list_request(const pyro_task_query& query) {
  ListRequest request;
  PYRO_TRY_ASSIGN(request.labels, take_labels(query.labels, query.label_count));
  if ((query.state_mask & ~kAllStates) != 0) {
    return base::make_error(PYRO_ERROR_INVALID, "state_mask is {}: it is a sum of 1 << pyro_vm_state",
                            query.state_mask);
  }
  request.state_mask = query.state_mask;
  return request;
}

base::Result<std::string> take_task_id(const char* id) {
  if (id == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "there is no task_id: create_task gives one");
  }
  PYRO_TRY(state::check_vm_id(id));
  return std::string(id);
}

base::Result<std::uint64_t> take_ttl(double seconds) {
  return duration_ms("ttl_seconds", seconds, kDefaultTtlSeconds, kYearSeconds, true);
}

}  // namespace pyro::client
