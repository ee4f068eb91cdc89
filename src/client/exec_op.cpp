#include "client/exec_op.hpp"

#include "base/clock.hpp"
#include "client/command_list.hpp"

namespace pyro::client {

namespace {

constexpr std::int64_t kStartMs = 60'000;

}  // namespace

ExecOp::ExecOp(ContextPtr context, Poller poller, CommandRequest request, std::string id, state::VmKind kind,
               bool detach)
    : CommandOp(std::move(context), std::move(poller), std::move(request), std::move(id)),
      kind_(kind),
      detach_(detach) {}

base::Result<std::unique_ptr<VmLink>> ExecOp::connect() {
  if (!folder_) {
    PYRO_TRY_ASSIGN(folder_, VmFolder::open(settings().home, vm_id()));
    if (!is_vm_new()) {
      // A folder without a record is no VM.
      PYRO_TRY_ASSIGN(const auto record, folder_->record());
      PYRO_TRY(check_kind(record, kind_));
    }
    PYRO_TRY_ASSIGN(const auto run, folder_->run());
    engine_ = run ? static_cast<pyro_engine>(run->engine) : PYRO_ENGINE_AUTO;
    attach_.emplace(*folder_, poller());
  }
  auto vm = attach_->poll();
  if (vm.ok() && *vm) {
    // It greets at once, and starts a command as soon as the guest has taken in the ones before.
    PYRO_TRY(allow_until(base::monotonic_ms() + kStartMs));
  }
  if (!vm.ok() && vm.error().code == PYRO_ERROR_STATE) {
    PYRO_TRY_ASSIGN(const VmInfo info, look_at_vm(*folder_));
    return not_running(info);
  }
  return vm;
}

void ExecOp::dispatched(std::uint64_t number) {
  if (!detach_) {
    return;
  }
  CommandEntry entry;
  entry.started.number = number;
  entry.started.time_ns = base::realtime_ns();
  entry.started.set_command(exec().argv, exec().env);
  entry.started.cwd = exec().cwd;
  entry.started.user = exec().user;
  entry.started.pty = exec().pty;
  Event event;
  event.kind = PYRO_EVENT_DONE;
  event.commands = make_command_list({std::move(entry)}, vm_id());
  emit(std::move(event));
}

base::Status ExecOp::conclude(Event exit) {
  if (kind_ == state::VmKind::task) {
    return CommandOp::conclude(std::move(exit));
  }
  exit_ = std::move(exit);
  removal_.emplace(context_ptr(), *folder_, poller());
  return go_on();
}

base::Status ExecOp::go_on() {
  PYRO_TRY_ASSIGN(const bool removed, removal_->poll());
  return removed ? CommandOp::conclude(std::move(exit_)) : base::success();
}

void ExecOp::stop_connecting() noexcept {
  if (removal_) {
    removal_->stop();
  }
}

}  // namespace pyro::client
