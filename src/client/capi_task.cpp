// Entries of the C ABI: tasks.
#include "client/capi_calls.hpp"
#include "client/exec_op.hpp"
#include "client/start_vm_op.hpp"
#include "client/task_request.hpp"

using namespace pyro::client;
using pyro::state::VmKind;
namespace base = pyro::base;

namespace {

OpResult make_create(pyro_context* context, const pyro_task_options* given) {
  PYRO_TRY_ASSIGN(const auto options, required(given, "pyro_task_options"));
  PYRO_TRY_ASSIGN(auto record, make_task_record(options, context->shared->settings.engine_variable));
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  if (options.seed != nullptr) {
    PYRO_TRY_ASSIGN(auto seeded,
                    StartVmOp::create_seeded(context->shared, std::move(poller), std::move(record), options.seed));
    return std::unique_ptr<Op>(std::move(seeded));
  }
  return std::unique_ptr<Op>(StartVmOp::create(context->shared, std::move(poller), std::move(record)));
}

OpResult make_exec(pyro_context* context, const pyro_exec_options* given, VmKind kind,
                   std::uint64_t& output_limit_bytes, bool is_blocking) {
  PYRO_TRY_ASSIGN(const auto options, required(given, "pyro_exec_options"));
  if (is_blocking && (options.stdin_mode == PYRO_STDIN_STREAM || options.detach != 0)) {
    return base::make_error(PYRO_ERROR_INVALID, "{} is not for the blocking call: use pyro_task_exec_start()",
                            options.detach != 0 ? "detach" : "PYRO_STDIN_STREAM");
  }
  PYRO_TRY_ASSIGN(auto request, make_exec_request(options));
  if (kind == VmKind::vm && request.detach) {
    return base::make_error(PYRO_ERROR_INVALID, "detach is for tasks: a VM goes with its command");
  }
  output_limit_bytes = request.command.output_limit_bytes;
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  return std::unique_ptr<Op>(std::make_unique<ExecOp>(context->shared, std::move(poller), std::move(request.command),
                                                      std::move(request.task_id), kind, request.detach));
}

OpResult make_logs(pyro_context* context, const pyro_logs_options* given, bool is_blocking) {
  PYRO_TRY_ASSIGN(const auto options, required(given, "pyro_logs_options"));
  PYRO_TRY_ASSIGN(auto request, make_logs_request(options));
  if (is_blocking && request.mode != PYRO_LOGS_LIST) {
    return base::make_error(PYRO_ERROR_INVALID, "this mode is not for the blocking call: use pyro_task_logs_start()");
  }
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  return std::unique_ptr<Op>(std::make_unique<LogsOp>(context->shared, std::move(poller), std::move(request)));
}

OpResult make_list(pyro_context* context, const pyro_task_query* given, VmKind kind) {
  PYRO_TRY_ASSIGN(const auto query, read_options(given, "pyro_task_query"));
  PYRO_TRY_ASSIGN(auto request, make_list_request(query));
  request.kind = kind;
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  return std::unique_ptr<Op>(std::make_unique<ListVmsOp>(context->shared, std::move(poller), std::move(request)));
}

OpResult make_set_ttl(pyro_context* context, const pyro_task_query* given) {
  PYRO_TRY_ASSIGN(const auto query, required(given, "pyro_task_query"));
  PYRO_TRY_ASSIGN(std::string id, take_task_id(query.task_id));
  PYRO_TRY_ASSIGN(const std::uint64_t ttl_ms, take_ttl(query.ttl_seconds));
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  return std::unique_ptr<Op>(std::make_unique<SetTtlOp>(context->shared, std::move(poller), std::move(id), ttl_ms));
}

// What takes nothing but an id.
template <typename Operation>
OpResult make_by_id(pyro_context* context, const pyro_task_query* given, VmKind kind = VmKind::task) {
  PYRO_TRY_ASSIGN(const auto query, required(given, "pyro_task_query"));
  PYRO_TRY_ASSIGN(std::string id, take_task_id(query.task_id));
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  if constexpr (std::is_same_v<Operation, StartVmOp>) {
    return std::unique_ptr<Op>(StartVmOp::start(context->shared, std::move(poller), std::move(id), kind));
  } else {
    return std::unique_ptr<Op>(std::make_unique<Operation>(context->shared, std::move(poller), std::move(id), kind));
  }
}

OpResult make_vm_create(pyro_context* context, const pyro_task_options* given) {
  PYRO_TRY_ASSIGN(const auto options, required(given, "pyro_task_options"));
  PYRO_TRY_ASSIGN(auto record, make_task_record(options, context->shared->settings.engine_variable));
  record.kind = VmKind::vm;
  if (options.seed != nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "seed is for tasks: a VM has no workspace before it is started");
  }
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  return std::unique_ptr<Op>(std::make_unique<CreateVmOp>(context->shared, std::move(poller), std::move(record)));
}

OpResult make_reap(pyro_context* context) {
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  return std::unique_ptr<Op>(std::make_unique<ReapOp>(context->shared, std::move(poller)));
}

}  // namespace

pyro_status pyro_task_create(pyro_context* context, const pyro_task_options* options, pyro_vm_list** list,
                             pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_create(context, options); });
}

pyro_status pyro_task_create_start(pyro_context* context, const pyro_task_options* options, pyro_op** op,
                                   pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_create(context, options); });
}

pyro_status pyro_task_exec(pyro_context* context, const pyro_exec_options* options, pyro_result** result,
                           pyro_error** error) noexcept {
  return guard(error, [&]() -> base::Result<pyro_status> {
    PYRO_TRY(check(context));
    std::uint64_t limit = 0;
    return collect_result(result, error, limit, [&] { return make_exec(context, options, VmKind::task, limit, true); });
  });
}

pyro_status pyro_task_exec_start(pyro_context* context, const pyro_exec_options* options, pyro_op** op,
                                 pyro_error** error) noexcept {
  std::uint64_t unused = 0;
  return start(context, op, error, [&] { return make_exec(context, options, VmKind::task, unused, false); });
}

pyro_status pyro_task_logs(pyro_context* context, const pyro_logs_options* options, pyro_command_list** list,
                           pyro_error** error) noexcept {
  return wait(context, list, error, &Event::commands, [&] { return make_logs(context, options, true); });
}

pyro_status pyro_task_logs_start(pyro_context* context, const pyro_logs_options* options, pyro_op** op,
                                 pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_logs(context, options, false); });
}

pyro_status pyro_task_list(pyro_context* context, const pyro_task_query* query, pyro_vm_list** list,
                           pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_list(context, query, VmKind::task); });
}

pyro_status pyro_task_list_start(pyro_context* context, const pyro_task_query* query, pyro_op** op,
                                 pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_list(context, query, VmKind::task); });
}

pyro_status pyro_task_status(pyro_context* context, const pyro_task_query* query, pyro_vm_list** list,
                             pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_by_id<StatusOp>(context, query); });
}

pyro_status pyro_task_status_start(pyro_context* context, const pyro_task_query* query, pyro_op** op,
                                   pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_by_id<StatusOp>(context, query); });
}

pyro_status pyro_task_stop(pyro_context* context, const pyro_task_query* query, pyro_vm_list** list,
                           pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_by_id<StopVmOp>(context, query); });
}

pyro_status pyro_task_stop_start(pyro_context* context, const pyro_task_query* query, pyro_op** op,
                                 pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_by_id<StopVmOp>(context, query); });
}

pyro_status pyro_task_start(pyro_context* context, const pyro_task_query* query, pyro_vm_list** list,
                            pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_by_id<StartVmOp>(context, query); });
}

pyro_status pyro_task_start_start(pyro_context* context, const pyro_task_query* query, pyro_op** op,
                                  pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_by_id<StartVmOp>(context, query); });
}

pyro_status pyro_task_set_ttl(pyro_context* context, const pyro_task_query* query, pyro_vm_list** list,
                              pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_set_ttl(context, query); });
}

pyro_status pyro_task_set_ttl_start(pyro_context* context, const pyro_task_query* query, pyro_op** op,
                                    pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_set_ttl(context, query); });
}

pyro_status pyro_task_delete(pyro_context* context, const pyro_task_query* query, pyro_vm_list** list,
                             pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_by_id<DeleteVmOp>(context, query); });
}

pyro_status pyro_task_delete_start(pyro_context* context, const pyro_task_query* query, pyro_op** op,
                                   pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_by_id<DeleteVmOp>(context, query); });
}

pyro_status pyro_reap_expired(pyro_context* context, pyro_vm_list** list, pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_reap(context); });
}

pyro_status pyro_reap_expired_start(pyro_context* context, pyro_op** op, pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_reap(context); });
}

pyro_status pyro_vm_create(pyro_context* context, const pyro_task_options* options, pyro_vm_list** list,
                           pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_vm_create(context, options); });
}

pyro_status pyro_vm_create_start(pyro_context* context, const pyro_task_options* options, pyro_op** op,
                                 pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_vm_create(context, options); });
}

pyro_status pyro_vm_exec(pyro_context* context, const pyro_exec_options* options, pyro_result** result,
                         pyro_error** error) noexcept {
  return guard(error, [&]() -> base::Result<pyro_status> {
    PYRO_TRY(check(context));
    std::uint64_t limit = 0;
    return collect_result(result, error, limit, [&] { return make_exec(context, options, VmKind::vm, limit, true); });
  });
}

pyro_status pyro_vm_exec_start(pyro_context* context, const pyro_exec_options* options, pyro_op** op,
                               pyro_error** error) noexcept {
  std::uint64_t unused = 0;
  return start(context, op, error, [&] { return make_exec(context, options, VmKind::vm, unused, false); });
}

pyro_status pyro_vm_list_all(pyro_context* context, const pyro_task_query* query, pyro_vm_list** list,
                             pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_list(context, query, VmKind::vm); });
}

pyro_status pyro_vm_list_all_start(pyro_context* context, const pyro_task_query* query, pyro_op** op,
                                   pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_list(context, query, VmKind::vm); });
}

pyro_status pyro_vm_start(pyro_context* context, const pyro_task_query* query, pyro_vm_list** list,
                          pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_by_id<StartVmOp>(context, query, VmKind::vm); });
}

pyro_status pyro_vm_start_start(pyro_context* context, const pyro_task_query* query, pyro_op** op,
                                pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_by_id<StartVmOp>(context, query, VmKind::vm); });
}

pyro_status pyro_vm_status(pyro_context* context, const pyro_task_query* query, pyro_vm_list** list,
                           pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_by_id<StatusOp>(context, query, VmKind::vm); });
}

pyro_status pyro_vm_status_start(pyro_context* context, const pyro_task_query* query, pyro_op** op,
                                 pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_by_id<StatusOp>(context, query, VmKind::vm); });
}

pyro_status pyro_vm_stop(pyro_context* context, const pyro_task_query* query, pyro_vm_list** list,
                         pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_by_id<StopVmOp>(context, query, VmKind::vm); });
}

pyro_status pyro_vm_stop_start(pyro_context* context, const pyro_task_query* query, pyro_op** op,
                               pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_by_id<StopVmOp>(context, query, VmKind::vm); });
}

pyro_status pyro_vm_delete(pyro_context* context, const pyro_task_query* query, pyro_vm_list** list,
                           pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_by_id<DeleteVmOp>(context, query, VmKind::vm); });
}

pyro_status pyro_vm_delete_start(pyro_context* context, const pyro_task_query* query, pyro_op** op,
                                 pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_by_id<DeleteVmOp>(context, query, VmKind::vm); });
}
