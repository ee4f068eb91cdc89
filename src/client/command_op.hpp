// One command in a VM, as an operation: what it prints, reads and how it ends. How to get at the VM is up to who derives
// from this: RunOp starts one, ExecOp attaches to one that runs.
// Thread rule: as Op.
#pragma once

#include "client/command_input.hpp"
#include "client/op.hpp"
#include "client/run_request.hpp"
#include "client/vm_link.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace pyro::client {

/// How much longer than the deadlines that it enforces itself a supervisor may take before it counts
/// as stuck. Generous: a machine that swaps is slow, not broken.
inline constexpr std::int64_t kSupervisorGraceMs = 10'000;

class CommandOp : public Op {
 public:
  base::Result<std::size_t> write_stdin(base::ByteView bytes) override;
  base::Status close_stdin() override;
  base::Status signal(std::int32_t number) override;
  base::Status resize(std::uint32_t rows, std::uint32_t columns) override;

 protected:
  CommandOp(ContextPtr context, Poller poller, CommandRequest request, std::string vm_id);

  /// The connection to the VM, ready for commands, once there is one; nothing before: called again when the poller
  /// wakes.
  virtual base::Result<std::unique_ptr<VmLink>> connect() = 0;
  /// Ends what connect() started, without waiting.
  virtual void stop_connecting() noexcept {}
  /// What the result says besides how the command ended; after connect().
  struct Place {
    pyro_engine engine = PYRO_ENGINE_AUTO;
    pyro_start_kind start_kind = PYRO_START_COLD;
    std::string task_id;
  };
  [[nodiscard]] virtual Place place() const = 0;
  /// The command is on its way, as `number` of its task's journal. May emit the last event, if nobody is to wait for it.
  virtual void dispatched(std::uint64_t /*number*/) {}
  /// The command has ended, and `exit` says how: the last event. May do something first and emit it later, in
  /// go_on().
  virtual base::Status conclude(Event exit);
  /// Called instead of looking at the VM when conclude() has not emitted.
  virtual base::Status go_on() { return base::success(); }
  /// How much longer than a command's timeout its end may take.
  [[nodiscard]] virtual std::int64_t end_grace_ms() const noexcept { return kSupervisorGraceMs; }
  /// Checks the supervisor's first frame.
  [[nodiscard]] virtual base::Status check_supervisor(const wire::Frame& hello) const;

  /// It printed something. Default: an event, and consumed() when that has been taken. Who keeps no event of it
  /// calls acknowledge() instead.
  virtual base::Status deliver(wire::Channel channel, base::Bytes bytes);
  /// So much of its output is done with: more may come.
  void acknowledge(wire::Channel channel, std::size_t bytes);
  /// There is room for input. Default: the rest of stdin_data.
  virtual base::Status feed();
  /// How much may be given to push_input() now.
  [[nodiscard]] std::size_t input_room() const noexcept { return input_.room(); }
  void push_input(base::ByteView bytes, bool end) { input_.push(bytes, end); }
  base::Status flush();
  /// Input was refused for want of room: next() is to come back when there is some.
  void want_room() noexcept { input_.want_room(); }
  /// Errors: STATE.
  [[nodiscard]] base::Status check_input_open() const;

  [[nodiscard]] const std::string& vm_id() const noexcept { return vm_id_; }
  [[nodiscard]] const wire::Exec& exec() const noexcept { return request_.exec; }
  /// When the supervisor must have spoken; 0: no such time.
  base::Status allow_until(std::int64_t deadline_ms);

 private:
  base::Status step() override;
  void consumed(const Event& event) override;
  void stop() noexcept override;

  base::Status drive_vm();
  base::Status take(wire::Frame& frame);
  base::Status take_dispatched(const wire::Frame& frame);
  base::Status take_started();
  base::Status take_data(wire::Channel channel, wire::Frame& frame);
  base::Status take_credit(wire::Frame& frame);
  base::Status take_exit(wire::Frame& frame);
  base::Status report_loss();
  base::Status check_deadline();
  /// The supervisor is lost, or cannot be believed: safe to run again, or not?
  [[nodiscard]] base::Error lost(const std::string& what) const;

  void pump_stdin();

  CommandRequest request_;
  std::string vm_id_;
  std::int64_t called_ms_;
  std::uint64_t startup_ms_ = 0;
  std::int64_t deadline_ms_ = 0;

  std::unique_ptr<VmLink> vm_;
  std::vector<wire::Frame> frames_;
  bool greeted_ = false;
  bool dispatched_ = false;
  bool started_ = false;
  bool concluding_ = false;
  std::uint64_t command_number_ = 0;
  /// Signals sent before the command was known to run.
  std::size_t early_signals_ = 0;

  wire::FrameQueue queue_;
  CommandInput input_;
  std::size_t stdin_sent_ = 0;
  std::array<wire::ReceiveCredit, 3> output_credit_;
  std::array<std::uint64_t, 3> output_total_{};
};

}  // namespace pyro::client
