// The agent's event loop: epoll, level-triggered.
// Thread rule: one thread.
#pragma once

#include "base/fd.hpp"

#include <cstdint>
#include <functional>
#include <unordered_map>

namespace pyro::guest {

class EventLoop;

/// One descriptor in the loop, borrowed: close it after this, or after want(0). A handler may call want()
/// of any Watch and make new ones; a Watch is destroyed outside of handlers only.
class Watch {
 public:
  using Handler = std::function<void(std::uint32_t events)>;

  Watch(EventLoop& loop, int fd, Handler handler);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// What to wait for (EPOLLIN, EPOLLOUT); errors and hang-ups come along. 0: nothing at all, they neither.
  void want(std::uint32_t events);

 private:
  friend class EventLoop;
  EventLoop& loop_;
  int fd_;
  Handler handler_;
  std::uint64_t id_;
  std::uint32_t wanted_ = 0;
};

class EventLoop {
 public:
  explicit EventLoop(base::Fd epoll) noexcept : epoll_(std::move(epoll)) {}
  static base::Result<base::Fd> create_epoll();

  /// Waits for events and calls their handlers. `timeout_ms` −1: no limit.
  void run_once(int timeout_ms);

 private:
  friend class Watch;
  base::Fd epoll_;
  // By number and not by address, because an event may be under way for a Watch that is gone.
  std::unordered_map<std::uint64_t, Watch*> watches_;
  std::uint64_t next_id_ = 1;
};

}  // namespace pyro::guest
