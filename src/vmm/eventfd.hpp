// eventfds: how threads of the monitor, and the kernel's side of KVM, wake each other.
#pragma once

#include "base/fd.hpp"

#include "devices/irq_line.hpp"

namespace pyro::vmm {

/// A counter of zero, non-blocking.
base::Result<base::Fd> make_eventfd();

/// Adds one. Any thread; cannot fail but for a counter that is full, which wakes all the same.
void signal_eventfd(int fd) noexcept;

/// An interrupt line whose edges go through an eventfd to KVM (Vm::connect_interrupt()).
class EventfdIrqLine final : public devices::IrqLine {
 public:
  explicit EventfdIrqLine(base::Fd event) noexcept : event_(std::move(event)) {}
  void raise() noexcept override { signal_eventfd(event_.get()); }
  [[nodiscard]] int fd() const noexcept { return event_.get(); }

 private:
  base::Fd event_;
};

}  // namespace pyro::vmm
