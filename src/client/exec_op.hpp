// Running a command in a task that runs, as an operation. When the operation ends before the command, that goes on.
// Thread rule: as Op.
#pragma once

#include "client/command_op.hpp"
#include "client/vm_control.hpp"
#include "client/vm_info.hpp"
#include "client/vm_removal.hpp"

#include <optional>

namespace pyro::client {

class ExecOp : public CommandOp {
 public:
  /// `detach`: the last event is DONE with the command's number, as soon as it has one. `kind` vm: the VM is removed
  /// when the command has ended.
  ExecOp(ContextPtr context, Poller poller, CommandRequest request, std::string id, state::VmKind kind, bool detach);

 protected:
  base::Result<std::unique_ptr<VmLink>> connect() override;
  /// The VM is just being made, and has no record yet.
  [[nodiscard]] virtual bool is_vm_new() const noexcept { return false; }
  base::Status conclude(Event exit) override;

 private:
  void stop_connecting() noexcept override;
  [[nodiscard]] Place place() const override {
    return {engine_, PYRO_START_RUNNING, kind_ == state::VmKind::task ? vm_id() : std::string()};
  }
  base::Status go_on() override;
  void dispatched(std::uint64_t number) override;
  /// The supervisor itself waits ten seconds for the disk.
  [[nodiscard]] std::int64_t end_grace_ms() const noexcept override { return 2 * kSupervisorGraceMs; }
  [[nodiscard]] base::Status check_supervisor(const wire::Frame& hello) const override { return check_hello(hello); }

  state::VmKind kind_;
  bool detach_;
  pyro_engine engine_ = PYRO_ENGINE_AUTO;
  std::optional<VmFolder> folder_;
  std::optional<VmAttach> attach_;
  std::optional<VmRemoval> removal_;
  Event exit_;
};

}  // namespace pyro::client
