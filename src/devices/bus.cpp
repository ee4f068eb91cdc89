#include "devices/bus.hpp"

#include <algorithm>

namespace pyro::devices {

namespace {

// A device reads at most this much at once: the widest access of a processor that is emulated.
constexpr std::size_t kMaxAccessBytes = 8;

}  // namespace

base::Status Bus::add(std::uint64_t base, std::uint64_t size_bytes, MmioDevice& device, std::string_view name) {
  if (size_bytes == 0 || size_bytes - 1 > UINT64_MAX - base) {
    return base::make_error(PYRO_ERROR_INVALID, "a device with {:#x} bytes of registers at {:#x}", size_bytes, base);
  }
  const auto next = std::upper_bound(slots_.begin(), slots_.end(), base,
                                     [](std::uint64_t at, const Slot& slot) { return at < slot.base; });
  const bool hits_next = next != slots_.end() && next->base - base < size_bytes;
  const bool hits_previous = next != slots_.begin() && base - std::prev(next)->base < std::prev(next)->size_bytes;
  if (hits_next || hits_previous) {
    return base::make_error(PYRO_ERROR_INVALID, "the registers at {:#x} overlap those of another device", base);
  }
  slots_.insert(next, Slot{base, size_bytes, &device, name, std::make_unique<Counters>()});
  return base::success();
}

const Bus::Slot* Bus::find(std::uint64_t address, std::size_t size_bytes) const noexcept {
  if (size_bytes == 0 || size_bytes > kMaxAccessBytes) {
    return nullptr;
  }
  const auto next = std::upper_bound(slots_.begin(), slots_.end(), address,
                                     [](std::uint64_t at, const Slot& slot) { return at < slot.base; });
  if (next == slots_.begin()) {
    return nullptr;
  }
  const Slot& slot = *std::prev(next);
  const std::uint64_t offset = address - slot.base;
  return offset < slot.size_bytes && size_bytes <= slot.size_bytes - offset ? &slot : nullptr;
}

void Bus::read(std::uint64_t address, std::span<std::byte> data) const noexcept {
  if (const Slot* slot = find(address, data.size())) {
    slot->counters->reads.fetch_add(1, std::memory_order_relaxed);
    slot->device->read(address - slot->base, data);
  } else {
    unclaimed_.reads.fetch_add(1, std::memory_order_relaxed);
    std::fill(data.begin(), data.end(), std::byte{0xff});
  }
}

void Bus::write(std::uint64_t address, base::ByteView data) const noexcept {
  if (const Slot* slot = find(address, data.size())) {
    slot->counters->writes.fetch_add(1, std::memory_order_relaxed);
    slot->device->write(address - slot->base, data);
  } else {
    unclaimed_.writes.fetch_add(1, std::memory_order_relaxed);
  }
}

std::vector<AccessCount> Bus::counts() const {
  const auto count = [](std::string_view name, const Counters& counters) {
    return AccessCount{name, counters.reads.load(std::memory_order_relaxed),
                       counters.writes.load(std::memory_order_relaxed)};
  };
  std::vector<AccessCount> all;
  for (const Slot& slot : slots_) {
    all.push_back(count(slot.name, *slot.counters));
  }
  all.push_back(count("nothing", unclaimed_));
  return all;
}

}  // namespace pyro::devices
