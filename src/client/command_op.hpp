// Running one command in one new VM, as an operation: environment, engine, scratch disk, supervisor,
// command. Everything up to the supervisor's start is repeated from the top after pyro-image made what
// was missing, so that there is one way through.
// Thread rule: as Op.
#pragma once

#include "client/engine.hpp"
#include "client/environment_store.hpp"
#include "client/image_child.hpp"
#include "client/kvm_probe.hpp"
#include "client/op.hpp"
#include "client/run_request.hpp"
#include "client/vm_link.hpp"

namespace pyro::client {

class RunOp final : public Op {
 public:
  /// How much longer than the deadlines that it enforces itself a supervisor may take before it counts
  /// as stuck. Generous: a machine that swaps is slow, not broken.
  static constexpr std::int64_t kSupervisorGraceMs = 10'000;

  RunOp(ContextPtr context, Poller poller, RunRequest request);

  base::Result<std::size_t> write_stdin(base::ByteView bytes) override;
  base::Status close_stdin() override;
  base::Status signal(std::int32_t number) override;
  base::Status resize(std::uint32_t rows, std::uint32_t columns) override;

 private:
  base::Status step() override;
  void consumed(const Event& event) override;
  void stop() noexcept override;

  // Before there is a supervisor (run_op_prepare.cpp).
  base::Status prepare();
  base::Status ask_image(ImageRequest request, std::string_view why);
  base::Status drive_image();
  base::Status launch(EnvironmentFiles files, base::Fd scratch);

  // With a supervisor.
  base::Status drive_vm();
  base::Status take(wire::Frame& frame);
  base::Status take_hello(wire::Frame& frame);
  base::Status take_progress(wire::Frame& frame);
  base::Status take_log(const wire::Frame& frame);
  base::Status take_started();
  base::Status take_data(wire::Channel channel, wire::Frame& frame);
  base::Status take_credit(wire::Frame& frame);
  base::Status take_failed(wire::Frame& frame);
  base::Status take_exit(wire::Frame& frame);
  base::Status report_loss();
  base::Status allow_until(std::int64_t deadline_ms);
  base::Status check_deadline();
  /// The supervisor is lost, or cannot be believed: safe to run again, or not?
  [[nodiscard]] base::Error lost(const std::string& what) const;

  base::Status check_input_open() const;
  void pump_stdin();
  void push_input(base::ByteView bytes, bool end);
  base::Status flush();

  RunRequest request_;
  std::string vm_id_;
  pyro_engine engine_ = PYRO_ENGINE_AUTO;
  std::int64_t called_ms_;
  std::int64_t launched_ms_ = 0;
  std::uint64_t startup_ms_ = 0;
  /// When the supervisor must have spoken; 0: no such time.
  std::int64_t deadline_ms_ = 0;

  std::optional<ProbeRun> probe_;
  std::optional<KvmProbe> kvm_;
  std::unique_ptr<ImageChild> image_;
  /// What pyro-image was asked for so far.
  std::vector<std::string> asked_;

  std::unique_ptr<VmLink> vm_;
  std::vector<wire::Frame> frames_;
  bool greeted_ = false;
  bool dispatched_ = false;
  bool started_ = false;
  /// Signals sent before the command was known to run.
  std::size_t early_signals_ = 0;

  wire::FrameQueue queue_;
  wire::SendCredit stdin_credit_;
  std::size_t stdin_sent_ = 0;
  bool stdin_closed_ = false;
  /// The caller has input that there was no credit for, and is to be told when there is.
  bool refused_input_ = false;
  std::array<wire::ReceiveCredit, 3> output_credit_;
  std::array<std::uint64_t, 3> output_total_{};
};

}  // namespace pyro::client
