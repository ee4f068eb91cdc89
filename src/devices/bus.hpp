// Which device answers at an address: one Bus for memory-mapped I/O, another for ports.
// Thread rule: add() before the first vCPU runs; read() and write() from any thread after that.
#pragma once

#include "base/result.hpp"
#include "devices/mmio_device.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace pyro::devices {

/// How often a device was accessed.
struct AccessCount {
  std::string_view name;
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
};

class Bus {
 public:
  /// Puts a device at [base, base + size_bytes). Refuses an empty range and one that overlaps another or the end of
  /// the address space. The device is borrowed and outlives the bus; `name` is a literal, for counts().
  base::Status add(std::uint64_t base, std::uint64_t size_bytes, MmioDevice& device, std::string_view name);

  /// An access that no device claims as a whole reads as all ones, and writes nothing.
  void read(std::uint64_t address, std::span<std::byte> data) const noexcept;
  void write(std::uint64_t address, base::ByteView data) const noexcept;

  /// Of every device, and last, with the name "nothing", of what no device claimed. Any thread; not of one instant.
  [[nodiscard]] std::vector<AccessCount> counts() const;

 private:
  struct Counters {
    std::atomic<std::uint64_t> reads{0};
    std::atomic<std::uint64_t> writes{0};
  };
  struct Slot {
    std::uint64_t base;
    std::uint64_t size_bytes;
    MmioDevice* device;
    std::string_view name;
    std::unique_ptr<Counters> counters;
  };
  [[nodiscard]] const Slot* find(std::uint64_t address, std::size_t size_bytes) const noexcept;

  std::vector<Slot> slots_;  // ascending by address
  mutable Counters unclaimed_;
};

}  // namespace pyro::devices
