// Op: the machinery that every operation shares. An operation never waits inside step(); it registers
// what it waits for with the poller, and next() waits there. So any event loop can host it, and the
// blocking calls are loops over next().
// Thread rule: one thread at a time, except cancel().
#pragma once

#include "client/context.hpp"
#include "client/event.hpp"
#include "client/poller.hpp"
#include "client/retired.hpp"

#include <atomic>
#include <deque>

namespace pyro::client {

class Op {
 public:
  Op(ContextPtr context, Poller poller);
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;
  virtual ~Op() = default;

  [[nodiscard]] bool is_ours() const noexcept { return poller_.is_ours(); }
  [[nodiscard]] int fd() const noexcept { return poller_.fd(); }
  /// PYRO_OK: current() is the next event; PYRO_AGAIN, also after interrupt(); PYRO_END.
  pyro_status next(std::int64_t timeout_ms);
  /// The event that next() gave; its parts may be moved out.
  [[nodiscard]] Event& current() noexcept { return current_; }
  /// Any thread.
  void cancel() noexcept;

  // What only an operation that runs a command can do. Errors: INVALID, STATE.
  virtual base::Result<std::size_t> write_stdin(base::ByteView bytes);
  virtual base::Status close_stdin();
  virtual base::Status signal(std::int32_t number);
  virtual base::Status resize(std::uint32_t rows, std::uint32_t columns);

 protected:
  /// Goes as far as it can without waiting, and emits what comes of it. An error ends the operation.
  virtual base::Status step() = 0;
  /// The caller is done with an event.
  virtual void consumed(const Event& event);
  /// The operation is over: end what it started, without waiting for it.
  virtual void stop() noexcept = 0;
  void emit(Event event);
  /// Makes next() come back with PYRO_AGAIN instead of waiting, once: there is something to do that is no event.
  void interrupt() noexcept { interrupted_ = true; }
  /// Something emitted waits to be taken.
  [[nodiscard]] bool has_events() const noexcept { return !events_.empty(); }
  /// The last event was emitted.
  [[nodiscard]] bool has_ended() const noexcept { return ended_; }
  Context& context() noexcept { return *context_; }
  [[nodiscard]] const Settings& settings() const noexcept { return context_->settings; }
  const ContextPtr& context_ptr() const noexcept { return context_; }
  Poller& poller() noexcept { return poller_; }
  /// Lets a helper end that has done its part and was told to, without waiting for it.
  void retire(jail::Process process) { retired_.add(std::move(process), poller_); }

 private:
  void advance();
  void set_awake(bool awake) noexcept;

  ContextPtr context_;
  Poller poller_;
  RetiredHelpers retired_;
  std::deque<Event> events_;
  Event current_;
  std::atomic<bool> cancelled_{false};
  bool ended_ = false;
  bool handed_out_last_ = false;
  bool awake_ = false;
  bool interrupted_ = false;
};

}  // namespace pyro::client
