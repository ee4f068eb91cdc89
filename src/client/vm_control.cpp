#include "client/vm_control.hpp"

#include "base/clock.hpp"

namespace pyro::client {

namespace {

// A supervisor accepts at once, unless very many connect to it in the same moment.
constexpr std::int64_t kConnectMs = 10'000;
constexpr std::int64_t kConnectRetryMs = 20;

}  // namespace

base::Result<bool> take_news(const wire::Frame& frame, const std::string& vm_id, LogRing& log,
                             const std::function<void(Event)>& emit) {
  switch (frame.type) {
    case wire::FrameType::progress: {
      PYRO_TRY_ASSIGN(auto progress, wire::Progress::decode(frame.payload));
      emit(Event::progress(std::move(progress.stage), std::move(progress.message)));
      return true;
    }
    case wire::FrameType::log: {
      PYRO_TRY_ASSIGN(const auto line, wire::Log::decode(frame.payload));
      log.add(line.level, "vm {}: {}", vm_id, line.message);
      return true;
    }
    case wire::FrameType::failed: {
      PYRO_TRY_ASSIGN(auto failed, wire::Failed::decode(frame.payload));
      emit(
          Event::failure(base::make_error(failed.code, "vm {}: {}", vm_id, failed.message), std::move(failed.console)));
      return true;
    }
    default:
      return false;
  }
}

base::Status check_hello(const wire::Frame& frame) {
  if (frame.type != wire::FrameType::hello) {
    return base::make_error(PYRO_ERROR_INTERNAL, "pyro-vm did not say who it is");
  }
  PYRO_TRY_ASSIGN(const auto hello, wire::Hello::decode(frame.payload));
  PYRO_TRY(wire::choose_version(hello));
  return base::success();
}

base::Result<std::unique_ptr<VmLink>> VmAttach::poll() {
  const std::int64_t now_ms = base::monotonic_ms();
  deadline_ms_ = deadline_ms_ == 0 ? now_ms + kConnectMs : deadline_ms_;
  // A child that the host forked while it started the VM may keep the socket of a dead supervisor open: nobody answers.
  PYRO_TRY_ASSIGN(const bool runs, folder_.is_locked());
  if (!runs) {
    return base::make_error(PYRO_ERROR_STATE, "VM {} does not run", folder_.id());
  }
  PYRO_TRY_ASSIGN(auto socket, folder_.connect());
  if (!socket) {
    if (now_ms >= deadline_ms_) {
      return base::make_error(PYRO_ERROR_TIMEOUT, "the supervisor of VM {} takes no connections", folder_.id());
    }
    PYRO_TRY(poller_.set_deadline(now_ms + kConnectRetryMs));
    return std::unique_ptr<VmLink>();
  }
  PYRO_TRY(poller_.set_deadline(0));
  PYRO_TRY_ASSIGN(auto vm, VmLink::attach(std::move(*socket), poller_));
  if (attaches_) {
    PYRO_TRY(vm->send_first(wire::message_frame(wire::FrameType::attach, 0, wire::Attach{}), {}));
  }
  return vm;
}

base::Result<VmControl::Outcome> VmControl::poll() {
  Outcome outcome;
  if (!vm_) {
    PYRO_TRY_ASSIGN(vm_, attach_.poll());
    if (!vm_) {
      return outcome;
    }
    queue_.push_control(std::move(request_));
    deadline_ms_ = base::monotonic_ms() + timeout_ms_;
    PYRO_TRY(poller_.set_deadline(deadline_ms_));
  }
  PYRO_TRY(vm_->flush(queue_));
  // One read may leave more behind; the poller wakes again for it.
  PYRO_TRY(vm_->receive(outcome.frames));
  if (!greeted_ && !outcome.frames.empty()) {
    PYRO_TRY(check_hello(outcome.frames.front()));
    outcome.frames.erase(outcome.frames.begin());
    greeted_ = true;
  }
  outcome.over = vm_->is_over();
  if (!outcome.over && outcome.frames.empty() && base::monotonic_ms() >= deadline_ms_) {
    return base::make_error(PYRO_ERROR_TIMEOUT, "the supervisor pyro-vm did not answer within {} s",
                            static_cast<double>(timeout_ms_) / 1000.0);
  }
  return outcome;
}

void VmControl::stop() noexcept {
  if (vm_) {
    vm_->shut_down();
  }
}

}  // namespace pyro::client
