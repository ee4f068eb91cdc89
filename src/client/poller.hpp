// The epoll descriptor of an operation and the registrations in it.
// A forked child of the host shares the epoll object and keeps copies of what is registered, so a
// registration is always removed by hand before its descriptor is closed, and only by the process
// that made it. Thread rule: belongs to one thread at a time, except Poller::wake().
#pragma once

#include "base/fd.hpp"

#include <cstdint>

#include <sys/types.h>

namespace pyro::client {

class Poller;

/// A descriptor that is registered. Its destructor ends the registration, not the descriptor.
class Watch {
 public:
  Watch() noexcept = default;
  Watch(Watch&& other) noexcept { swap(other); }
  Watch& operator=(Watch&& other) noexcept {
    Watch taken(std::move(other));
    swap(taken);
    return *this;
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();

  [[nodiscard]] bool is_set() const noexcept { return poller_ != nullptr; }
  /// Changes what is waited for (EPOLLIN, EPOLLOUT). Nothing happens if it is that already.
  void want(std::uint32_t events) noexcept;

 private:
  friend class Poller;
  Watch(const Poller& poller, int fd, std::uint32_t events) noexcept : poller_(&poller), fd_(fd), events_(events) {}
  void swap(Watch& other) noexcept;

  const Poller* poller_ = nullptr;
  int fd_ = -1;
  std::uint32_t events_ = 0;
};

class Poller {
 public:
  static base::Result<Poller> make();
  Poller(Poller&& other) noexcept = default;

  /// The epoll descriptor: level-triggered, constant.
  [[nodiscard]] int fd() const noexcept { return epoll_.get(); }
  /// True in the process that made this, false in a forked child of it.
  [[nodiscard]] bool is_ours() const noexcept;
  /// Registers `fd`, which must outlive the Watch; the Poller must too, at a constant address.
  base::Result<Watch> watch(int fd, std::uint32_t events) const;

  /// Makes fd() readable until rest(). Any thread.
  void wake() const noexcept;
  void rest() const noexcept;
  /// Makes fd() readable once base::monotonic_ms() reaches `deadline_ms`; 0: never.
  base::Status set_deadline(std::int64_t deadline_ms);
  /// Waits up to `timeout_ms` (-1: no limit) until fd() is readable. False: it is not, or a signal came.
  [[nodiscard]] bool wait(std::int64_t timeout_ms) const noexcept;

 private:
  Poller(base::Fd epoll, base::Fd event) noexcept;

  base::Fd epoll_;
  base::Fd event_;
  base::Fd timer_;
  pid_t owner_;
};

}  // namespace pyro::client
