#include "client/command_op.hpp"

#include "base/build_id.hpp"
#include "base/clock.hpp"
#include "client/command_end.hpp"
#include "client/vm_control.hpp"

#include <algorithm>
#include <cerrno>

namespace pyro::client {

namespace {

using wire::Channel;
using wire::FrameType;

/// How long to wait for the exit status of a supervisor that has closed its socket.
constexpr std::int64_t kExitStatusMs = 250;

constexpr std::size_t index(Channel channel) noexcept {
  return static_cast<std::size_t>(channel);
}

}  // namespace

CommandOp::CommandOp(ContextPtr context, Poller poller, CommandRequest request, std::string vm_id)
    : Op(std::move(context), std::move(poller)),
      request_(std::move(request)),
      vm_id_(std::move(vm_id)),
      called_ms_(base::monotonic_ms()),
      input_(queue_, kCommandStream) {
  queue_.push_control(wire::message_frame(FrameType::exec, kCommandStream, request_.exec));
  pump_stdin();
}

base::Status CommandOp::conclude(Event exit) {
  emit(std::move(exit));
  return base::success();
}

base::Status CommandOp::step() {
  if (concluding_) {
    return go_on();
  }
  if (!vm_) {
    PYRO_TRY_ASSIGN(vm_, connect());
    if (!vm_) {
      return base::success();
    }
  }
  return drive_vm();
}

void CommandOp::stop() noexcept {
  stop_connecting();
  if (vm_) {
    vm_->shut_down();
  }
  [[maybe_unused]] const auto disarmed = poller().set_deadline(0);
}

base::Error CommandOp::lost(const std::string& what) const {
  return dispatched_
             ? base::make_error(PYRO_ERROR_OUTCOME_UNKNOWN,
                                "vm {}: {} after the command was started: what the command did is unknown", vm_id_,
                                what)
             : base::make_error(PYRO_ERROR_NOT_STARTED,
                                "vm {}: {} before the command was started: it is safe to run it again", vm_id_, what);
}

base::Status CommandOp::drive_vm() {
  PYRO_TRY(flush());
  if (vm_->is_over()) {
    return report_loss();
  }
  frames_.clear();
  const auto received = vm_->receive(frames_);
  for (auto& frame : frames_) {
    if (const auto taken = take(frame); !taken.ok()) {
      // What a decoder refuses is a supervisor that cannot be believed.
      return taken.error().code == PYRO_ERROR_INTERNAL ? lost(taken.error().message) : taken.error();
    }
    if (has_ended() || concluding_) {
      return base::success();
    }
  }
  if (!received.ok()) {
    return lost(received.error().message);
  }
  if (vm_->is_over()) {
    PYRO_TRY(allow_until(base::monotonic_ms() + kExitStatusMs));
    return report_loss();
  }
  if (frames_.empty()) {
    return check_deadline();
  }
  if (started_ && deadline_ms_ != 0) {
    // It speaks: a reader who let its output wait for long must not be taken for a stuck supervisor.
    PYRO_TRY(allow_until(std::max(deadline_ms_, base::monotonic_ms() + kSupervisorGraceMs)));
  }
  return flush();
}

base::Status CommandOp::allow_until(std::int64_t deadline_ms) {
  if (deadline_ms == deadline_ms_) {
    return base::success();
  }
  deadline_ms_ = deadline_ms;
  return poller().set_deadline(deadline_ms);
}

base::Status CommandOp::take(wire::Frame& frame) {
  if (frame.stream != 0 && frame.stream != kCommandStream) {
    return lost("pyro-vm spoke of a command that does not exist");
  }
  if (!greeted_ && frame.type != FrameType::hello && frame.type != FrameType::failed) {
    return lost("pyro-vm did not say who it is");
  }
  PYRO_TRY_ASSIGN(const bool taken,
                  take_news(frame, vm_id_, context().log, [this](Event event) { emit(std::move(event)); }));
  if (taken) {
    return base::success();
  }
  switch (frame.type) {
    case FrameType::hello:
      greeted_ = true;
      return check_supervisor(frame);
    case FrameType::ready:
      context().log.add(PYRO_LOG_INFO, "vm {}: the guest was ready after {} ms", vm_id_,
                        base::monotonic_ms() - called_ms_);
      return base::success();
    case FrameType::dispatched:
      return take_dispatched(frame);
    case FrameType::started:
      return take_started();
    case FrameType::data:
      return take_data(static_cast<Channel>(frame.channel_number()), frame);
    case FrameType::credit:
      return take_credit(frame);
    case FrameType::exit:
      return take_exit(frame);
    case FrameType::stopped:
      return lost("it was stopped");
    case FrameType::status:
    case FrameType::pong:
      return base::success();
    default:
      return lost(
          fmt::format("pyro-vm sent a frame of type {}, which no client expects", static_cast<unsigned>(frame.type)));
  }
}

// A VM of our own runs the pyro-vm of this very build.
base::Status CommandOp::check_supervisor(const wire::Frame& frame) const {
  PYRO_TRY_ASSIGN(const auto hello, wire::Hello::decode(frame.payload));
  if (hello.build_id != base::build_id()) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "{}/pyro-vm is of another build ({}) than this library ({}): install libpyro whole, or set "
                            "PYRO_LIBEXEC to the helper programs of this library",
                            settings().libexec, hello.build_id, base::build_id());
  }
  PYRO_TRY(wire::choose_version(hello));
  return base::success();
}

// From here on the command may have had effects. STARTED follows.
base::Status CommandOp::take_dispatched(const wire::Frame& frame) {
  PYRO_TRY_ASSIGN(const auto message, wire::Dispatched::decode(frame.payload));
  if (std::exchange(dispatched_, true)) {
    return lost("pyro-vm started the command twice");
  }
  command_number_ = message.number;
  dispatched(message.number);
  return base::success();
}

base::Status CommandOp::take_started() {
  dispatched_ = true;
  if (std::exchange(started_, true)) {
    return lost("pyro-vm started the command twice");
  }
  startup_ms_ = static_cast<std::uint64_t>(base::monotonic_ms() - called_ms_);
  context().log.add(PYRO_LOG_DEBUG, "vm {}: the command was started after {} ms", vm_id_, startup_ms_);
  const auto timeout_ms = static_cast<std::int64_t>(request_.exec.timeout_ms);
  PYRO_TRY(allow_until(timeout_ms == 0 ? 0 : base::monotonic_ms() + timeout_ms + end_grace_ms()));
  Event event;
  event.kind = PYRO_EVENT_STARTED;
  event.vm_id = vm_id_;
  event.command_number = command_number_;
  event.pty = request_.exec.pty;
  event.stdin_open = request_.streams_stdin && !input_.is_closed();
  emit(std::move(event));
  return base::success();
}

base::Status CommandOp::take_data(Channel channel, wire::Frame& frame) {
  const auto size = static_cast<std::uint32_t>(frame.payload.size());
  if (channel == Channel::in || !output_credit_[index(channel)].receive(size)) {
    return lost("pyro-vm sent more output than it may");
  }
  if (size == 0) {
    return base::success();
  }
  output_total_[index(channel)] += size;
  return deliver(channel, std::move(frame.payload));
}

base::Status CommandOp::deliver(Channel channel, base::Bytes bytes) {
  Event event;
  event.kind = channel == Channel::out ? PYRO_EVENT_STDOUT : PYRO_EVENT_STDERR;
  event.data = std::move(bytes);
  emit(std::move(event));
  return base::success();
}

void CommandOp::consumed(const Event& event) {
  if ((event.kind != PYRO_EVENT_STDOUT && event.kind != PYRO_EVENT_STDERR) || has_ended()) {
    return;
  }
  acknowledge(event.kind == PYRO_EVENT_STDOUT ? Channel::out : Channel::err, event.data.size());
}

void CommandOp::acknowledge(Channel channel, std::size_t bytes) {
  const auto grant = output_credit_[index(channel)].consume(static_cast<std::uint32_t>(bytes));
  if (grant > 0) {
    queue_.push_control(wire::credit_frame(kCommandStream, channel, grant));
  }
}

base::Status CommandOp::take_credit(wire::Frame& frame) {
  PYRO_TRY(input_.take_credit(frame));
  PYRO_TRY(feed());
  if (input_.take_wish_for_room()) {
    interrupt();
  }
  return base::success();
}

base::Status CommandOp::take_exit(wire::Frame& frame) {
  PYRO_TRY_ASSIGN(const auto exit, wire::Exit::decode(frame.payload));
  if (exit.failure == wire::ExecFailure::other) {
    // Not the command's doing: its user or directory does not exist, or the guest has no room for it.
    emit(Event::failure(base::make_error(exit.status, "the command could not be started: {}", exit.message), {}));
    return base::success();
  }
  if (exit.failure != wire::ExecFailure::none && !exit.message.empty()) {
    Event line = stderr_line(exit.message);
    output_total_[index(Channel::err)] += line.data.size();
    emit(std::move(line));
  }
  Event event;
  event.kind = PYRO_EVENT_EXIT;
  event.result = std::make_unique<OwnedResult>();
  OwnedResult& result = *event.result;
  fill_end(result, exit);
  Place where = place();
  result.engine = static_cast<std::uint32_t>(where.engine);
  result.start_kind = static_cast<std::uint32_t>(where.start_kind);
  result.stdout_total_bytes = output_total_[index(Channel::out)];
  result.stderr_total_bytes = output_total_[index(Channel::err)];
  result.startup_ms = startup_ms_;
  result.vm_id_text = vm_id_;
  result.task_id_text = std::move(where.task_id);
  result.command_number = command_number_;
  result.seal(false);
  context().log.add(PYRO_LOG_DEBUG, "vm {}: the command ended with {} after {} ms", vm_id_, exit.exit_code,
                    exit.duration_ms);
  concluding_ = true;
  return conclude(std::move(event));
}

base::Status CommandOp::report_loss() {
  if (vm_->has_exited()) {
    return lost(fmt::format("its supervisor pyro-vm {}", vm_->describe_end()));
  }
  if (base::monotonic_ms() >= deadline_ms_) {
    return lost("its supervisor pyro-vm closed the connection");
  }
  return base::success();
}

base::Status CommandOp::check_deadline() {
  if (deadline_ms_ != 0 && base::monotonic_ms() >= deadline_ms_) {
    return lost("its supervisor pyro-vm does not answer");
  }
  return base::success();
}

base::Status CommandOp::flush() {
  if (!vm_ || vm_->is_over()) {
    return base::success();
  }
  const auto flushed = vm_->flush(queue_);
  return flushed.ok() ? base::success() : lost(flushed.error().message);
}

base::Status CommandOp::feed() {
  pump_stdin();
  return base::success();
}

// Sends as much of stdin_data as there is credit for.
void CommandOp::pump_stdin() {
  if (request_.streams_stdin || input_.is_closed()) {
    return;
  }
  const auto rest = base::as_bytes(request_.stdin_data).subspan(stdin_sent_);
  const auto now = rest.first(std::min(rest.size(), input_.room()));
  const bool end = now.size() == rest.size();
  if (!now.empty() || end) {
    input_.push(now, end);
    stdin_sent_ += now.size();
  }
}

base::Status CommandOp::check_input_open() const {
  if (!request_.streams_stdin) {
    return base::make_error(PYRO_ERROR_INVALID, "the command's input was given as stdin_data: use PYRO_STDIN_STREAM");
  }
  if (has_ended()) {
    return base::make_error(PYRO_ERROR_STATE, "the command has ended");
  }
  if (input_.is_closed()) {
    return base::make_error(PYRO_ERROR_STATE, "the command's input was closed before");
  }
  return base::success();
}

base::Result<std::size_t> CommandOp::write_stdin(base::ByteView bytes) {
  PYRO_TRY(check_input_open());
  const std::size_t taken = input_.write(bytes);
  PYRO_TRY(flush());
  return taken;
}

base::Status CommandOp::close_stdin() {
  PYRO_TRY(check_input_open());
  input_.push({}, true);
  return flush();
}

base::Status CommandOp::signal(std::int32_t number) {
  PYRO_TRY(check_signal(number));
  if (has_ended()) {
    return base::make_error(PYRO_ERROR_STATE, "the command has ended");
  }
  if (!started_ && early_signals_++ >= wire::kMaxEarlySignals) {
    return base::make_error(PYRO_ERROR_STATE, "the command has not started, and {} signals wait for it already",
                            wire::kMaxEarlySignals);
  }
  queue_.push_control(wire::message_frame(FrameType::signal, kCommandStream, wire::Signal{number}));
  return flush();
}

base::Status CommandOp::resize(std::uint32_t rows, std::uint32_t columns) {
  PYRO_TRY_ASSIGN(const wire::Resize message, make_resize(rows, columns));
  if (!request_.exec.pty) {
    return base::make_error(PYRO_ERROR_INVALID, "the command has no terminal: start it with pty = 1");
  }
  if (has_ended()) {
    return base::make_error(PYRO_ERROR_STATE, "the command has ended");
  }
  queue_.push_control(wire::message_frame(FrameType::resize, kCommandStream, message));
  return flush();
}

}  // namespace pyro::client
