// Doorbells: one thread's list of eventfds, each with what to do when it is signalled. A guest's doorbell
// write signals its eventfd inside the kernel (Vm::connect_doorbell()), so no vCPU leaves it for that.
// Thread rule: add() before the guest runs, then one thread calls service().
#pragma once

#include "base/fd.hpp"

#include <deque>
#include <functional>

namespace pyro::vmm {

class Doorbells {
 public:
  static base::Result<Doorbells> create();

  /// `eventfd` is borrowed: it outlives this.
  base::Status add(int eventfd, std::function<void()> handle);
  /// Handles what was signalled, after waiting for it for up to `timeout_ms` (-1: for ever; 0: not at all).
  void service(int timeout_ms);
  /// An epoll descriptor: readable when service() has something to do.
  [[nodiscard]] int fd() const noexcept { return epoll_.get(); }

 private:
  explicit Doorbells(base::Fd epoll) noexcept : epoll_(std::move(epoll)) {}

  base::Fd epoll_;
  std::deque<std::function<void()>> handlers_;  // elements keep their addresses
};

}  // namespace pyro::vmm
