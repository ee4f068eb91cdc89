// What a vCPU reaches by memory-mapped or port I/O.
// Thread rule: both functions from any vCPU thread, at any time, several at once.
#pragma once

#include "base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace pyro::devices {

class MmioDevice {
 public:
  MmioDevice() = default;
  MmioDevice(const MmioDevice&) = delete;
  MmioDevice& operator=(const MmioDevice&) = delete;
  virtual ~MmioDevice() = default;

  /// `offset` counts from the start of the device's range; the access lies inside that range. 1 to 8 bytes at any
  /// alignment: what the hardware would not answer reads as the device likes, but all of `data` is written.
  virtual void read(std::uint64_t offset, std::span<std::byte> data) noexcept = 0;
  /// A write that makes no sense is ignored.
  virtual void write(std::uint64_t offset, base::ByteView data) noexcept = 0;
};

}  // namespace pyro::devices
