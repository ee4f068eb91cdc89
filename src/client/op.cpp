#include "client/op.hpp"

#include "base/clock.hpp"

#include <algorithm>
#include <utility>

namespace pyro::client {

namespace {

base::Error no_command() {
  return base::make_error(PYRO_ERROR_INVALID, "this operation runs no command: it has no input, signals or terminal");
}

}  // namespace

Op::Op(ContextPtr context, Poller poller) : context_(std::move(context)), poller_(std::move(poller)) {
  // The first step is due at once.
  set_awake(true);
}

void Op::set_awake(bool awake) noexcept {
  if (awake != awake_) {
    awake ? poller_.wake() : poller_.rest();
    awake_ = awake;
  }
}

void Op::emit(Event event) {
  ended_ = ended_ || event.is_last();
  events_.push_back(std::move(event));
}

void Op::advance() {
  retired_.collect();
  if (ended_) {
    return;
  }
  if (cancelled_) {
    events_.clear();
    emit(Event::failure(base::make_error(PYRO_ERROR_CANCELLED, "the operation was cancelled")));
  } else if (events_.empty()) {
    if (const auto status = step(); !status.ok()) {
      emit(Event::failure(status.error()));
    }
  }
  if (ended_) {
    stop();
  }
}

pyro_status Op::next(std::int64_t timeout_ms) {
  if (handed_out_last_) {
    return PYRO_END;
  }
  if (current_.kind != PYRO_EVENT_NONE) {
    consumed(current_);
    current_ = Event{};
  }
  const std::int64_t deadline = timeout_ms > 0 ? base::monotonic_ms() + timeout_ms : 0;
  while (true) {
    advance();
    if (!events_.empty()) {
      current_ = std::move(events_.front());
      events_.pop_front();
      handed_out_last_ = current_.is_last();
      // What is buffered here shows in no descriptor; and after the last event there is PYRO_END to hear.
      set_awake(handed_out_last_ || interrupted_ || !events_.empty());
      return PYRO_OK;
    }
    set_awake(false);
    if (cancelled_) {
      continue;  // The wake of cancel() may just have been taken back.
    }
    if (std::exchange(interrupted_, false)) {
      return PYRO_AGAIN;
    }
    const std::int64_t left = timeout_ms < 0 ? -1 : (timeout_ms == 0 ? 0 : deadline - base::monotonic_ms());
    if (left == 0 || (timeout_ms > 0 && left < 0)) {
      return PYRO_AGAIN;
    }
    if (!poller_.wait(left)) {
      return PYRO_AGAIN;
    }
  }
}

void Op::cancel() noexcept {
  // In this order: who is woken sees the flag.
  cancelled_ = true;
  poller_.wake();
}

base::Result<std::size_t> Op::write_stdin(base::ByteView) {
  return no_command();
}
base::Status Op::close_stdin() {
  return no_command();
}
base::Status Op::signal(std::int32_t) {
  return no_command();
}
base::Status Op::resize(std::uint32_t, std::uint32_t) {
  return no_command();
}
void Op::consumed(const Event&) {}

}  // namespace pyro::client
