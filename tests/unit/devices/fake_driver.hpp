// A guest's driver for tests: sets a virtio-mmio device up as Linux does, builds rings in guest memory and takes the
// used ones back. It can also be made to misbehave: every piece of the rings is within reach.
#pragma once

#include "devices/irq_line.hpp"
#include "devices/mmio_device.hpp"
#include "devices/virtio/spec.hpp"
#include "memory/guest_memory.hpp"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyro::devices::test {

/// Counts edges.
class FakeIrq final : public IrqLine {
 public:
  void raise() noexcept override { raised.fetch_add(1); }
  std::atomic<int> raised{0};
};

inline constexpr std::uint64_t kMemoryBytes = 4 << 20;

inline memory::GuestMemory make_memory() {
  const memory::Range range{0, kMemoryBytes};
  auto memory = memory::GuestMemory::create({&range, 1}, memory::GuestMemory::Backing::anonymous);
  if (!memory.ok()) {
    std::abort();
  }
  return std::move(*memory);
}

struct Piece {
  std::uint64_t gpa;
  std::uint32_t size;
  bool writable = false;
};

struct Used {
  std::uint32_t id;
  std::uint32_t written;
};

class FakeDriver {
 public:
  struct Ring {
    std::uint16_t size = 0;
    std::uint64_t desc = 0;
    std::uint64_t avail = 0;
    std::uint64_t used = 0;
    std::uint16_t next_desc = 0;
    std::uint16_t next_avail = 0;
    std::uint16_t next_used = 0;
  };

  FakeDriver(const memory::GuestMemory& memory, MmioDevice& device) : memory_(memory), device_(device) {}

  std::uint32_t get(std::uint64_t offset) {
    std::uint32_t value = 0;
    device_.read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  void set(std::uint64_t offset, std::uint32_t value) { device_.write(offset, std::as_bytes(std::span(&value, 1))); }
  template <typename T>
  T config(std::uint64_t offset) {
    T value{};
    device_.read(0x100 + offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  std::uint32_t status() { return get(0x70); }
  bool broken() { return (status() & virtio::VIRTIO_STATUS_DEVICE_NEEDS_RESET) != 0; }

  std::uint64_t offered() {
    set(0x14, 0);
    const std::uint64_t low = get(0x10);
    set(0x14, 1);
    return low | std::uint64_t{get(0x10)} << 32;
  }
  /// 3.1.1 up to FEATURES_OK; true if the device took the features.
  bool negotiate(std::uint64_t features) {
    set(0x70, 0);
    set(0x70, 1);
    set(0x70, 3);
    for (std::uint32_t half = 0; half < 2; ++half) {
      set(0x24, half);
      set(0x20, static_cast<std::uint32_t>(features >> (32 * half)));
    }
    set(0x70, 11);
    features_ = features;
    return (status() & 8) != 0;
  }
  /// Memory of the guest that nothing else uses.
  std::uint64_t allocate(std::uint64_t size_bytes, std::uint64_t alignment = 64) {
    next_free_ = (next_free_ + alignment - 1) / alignment * alignment;
    const std::uint64_t at = next_free_;
    next_free_ += size_bytes;
    return at;
  }
  /// Puts a ring into memory, without telling the device.
  Ring make_ring(std::uint16_t size) {
    Ring ring;
    ring.size = size;
    ring.desc = allocate(size * 16U);
    ring.avail = allocate(6U + size * 2U);
    ring.used = allocate(6U + size * 8U);
    return ring;
  }
  void tell(std::uint32_t index, const Ring& ring) {
    set(0x30, index);
    set(0x38, ring.size);
    set(0x80, static_cast<std::uint32_t>(ring.desc));
    set(0x84, static_cast<std::uint32_t>(ring.desc >> 32));
    set(0x90, static_cast<std::uint32_t>(ring.avail));
    set(0x94, static_cast<std::uint32_t>(ring.avail >> 32));
    set(0xa0, static_cast<std::uint32_t>(ring.used));
    set(0xa4, static_cast<std::uint32_t>(ring.used >> 32));
    set(0x44, 1);
  }
  /// All of it: every queue at its largest size, or at `size`.
  bool start(std::uint64_t features = ~std::uint64_t{0}, std::uint16_t size = 0) {
    if (!negotiate((features == ~std::uint64_t{0} ? offered() : features) | virtio::VIRTIO_F_VERSION_1)) {
      return false;
    }
    rings.clear();
    for (std::uint32_t index = 0;; ++index) {
      set(0x30, index);
      const std::uint32_t max = get(0x34);
      if (max == 0) {
        break;
      }
      rings.push_back(make_ring(size != 0 ? size : static_cast<std::uint16_t>(max)));
      tell(index, rings.back());
    }
    set(0x70, 15);
    return (status() & ~std::uint32_t{15}) == 0;
  }

  template <typename T>
  void poke(std::uint64_t gpa, T value) {
    if (!memory_.store(gpa, value)) {
      std::abort();
    }
  }
  template <typename T>
  T peek(std::uint64_t gpa) {
    const auto value = memory_.load<T>(gpa);
    if (!value) {
      std::abort();
    }
    return *value;
  }
  void poke_text(std::uint64_t gpa, std::string_view text) {
    if (!memory_.write(gpa, base::as_bytes(text))) {
      std::abort();
    }
  }
  std::string peek_text(std::uint64_t gpa, std::size_t size) {
    std::string out(size, '\0');
    if (!memory_.read(gpa, std::as_writable_bytes(std::span(out.data(), size)))) {
      std::abort();
    }
    return out;
  }

  void describe(const Ring& ring, std::uint16_t index, const virtio::Descriptor& descriptor) {
    poke(ring.desc + index * 16U, descriptor);
  }
  /// Makes chain `head` available, as it is.
  void offer(Ring& ring, std::uint16_t head) {
    poke(ring.avail + 4 + ring.next_avail % ring.size * 2U, head);
    poke(ring.avail + 2, ++ring.next_avail);
  }
  /// Builds a chain of the next descriptors and makes it available; its head.
  std::uint16_t add(std::uint32_t queue, const std::vector<Piece>& pieces) {
    Ring& ring = rings.at(queue);
    const std::uint16_t head = ring.next_desc;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const std::uint16_t index = ring.next_desc;
      ring.next_desc = static_cast<std::uint16_t>((ring.next_desc + 1) % ring.size);
      const bool last = i + 1 == pieces.size();
      describe(ring, index,
               {pieces[i].gpa, pieces[i].size,
                static_cast<std::uint16_t>((pieces[i].writable ? virtio::VIRTQ_DESC_F_WRITE : 0) |
                                           (last ? 0 : virtio::VIRTQ_DESC_F_NEXT)),
                ring.next_desc});
    }
    offer(ring, head);
    return head;
  }
  void kick(std::uint32_t queue) { set(0x50, queue); }
  std::optional<Used> take(std::uint32_t queue) {
    Ring& ring = rings.at(queue);
    if (peek<std::uint16_t>(ring.used + 2) == ring.next_used) {
      return std::nullopt;
    }
    const std::uint64_t at = ring.used + 4 + ring.next_used++ % ring.size * 8U;
    return Used{peek<std::uint32_t>(at), peek<std::uint32_t>(at + 4)};
  }
  /// With EVENT_IDX: the index at which the driver wants its next interrupt, and the device its next doorbell.
  void set_used_event(Ring& ring, std::uint16_t index) { poke(ring.avail + 4 + ring.size * 2U, index); }
  std::uint16_t avail_event(const Ring& ring) { return peek<std::uint16_t>(ring.used + 4 + ring.size * 8U); }
  std::uint16_t used_flags(const Ring& ring) { return peek<std::uint16_t>(ring.used); }

  std::vector<Ring> rings;

 private:
  const memory::GuestMemory& memory_;
  MmioDevice& device_;
  std::uint64_t features_ = 0;
  std::uint64_t next_free_ = 0x10000;
};

}  // namespace pyro::devices::test
