// A 16550A on ports: what the guest prints goes to a sink; nothing is ever received. It is there for early messages
// and panics, so the point is that Linux finds it, and that each character costs as few exits as possible: the
// transmitter is always ready, and an interrupt is raised only when one is not under way already.
// Thread rule: read and write from any vCPU thread. The sink is called there, too, without a lock held.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "devices/irq_line.hpp"
#include "devices/mmio_device.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>

namespace pyro::devices {

/// The ports that it takes, for COM1 from 0x3f8 on, with interrupt 4.
inline constexpr std::uint64_t kSerialPorts = 8;

class Serial final : public MmioDevice {
 public:
  /// `sink` takes what the guest prints; it never blocks and bounds what it keeps. `irq` is borrowed.
  Serial(IrqLine& irq, std::function<void(base::ByteView)> sink);

  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void write(std::uint64_t offset, base::ByteView data) noexcept override;

  static constexpr std::uint32_t kStateVersion = 1;
  [[nodiscard]] base::Bytes save() const;
  base::Status restore(base::ByteView saved);

 private:
  std::uint8_t read_register(std::uint64_t offset) noexcept;
  bool write_register(std::uint64_t offset, std::uint8_t value) noexcept;
  void transmitter_empty() noexcept;

  IrqLine& irq_;
  const std::function<void(base::ByteView)> sink_;

  mutable std::mutex mutex_;
  std::uint8_t ier_ = 0;
  std::uint8_t fcr_ = 0;
  std::uint8_t lcr_ = 0;
  std::uint8_t mcr_ = 0;
  std::uint8_t scr_ = 0;
  std::array<std::uint8_t, 2> divisor_{};
  // The transmitter became empty, and the driver has not read that from IIR yet.
  bool thre_pending_ = false;
};

}  // namespace pyro::devices
