// One interrupt of the guest, as a device sees it. Room vmm puts an irqfd behind it, a test a counter.
// Thread rule: raise() from any thread.
#pragma once

namespace pyro::devices {

class IrqLine {
 public:
  IrqLine() = default;
  IrqLine(const IrqLine&) = delete;
  IrqLine& operator=(const IrqLine&) = delete;
  virtual ~IrqLine() = default;

  /// One edge. Never blocks; two edges before the guest has looked may become one.
  virtual void raise() noexcept = 0;
};

}  // namespace pyro::devices
