// What a device may write to, held against what it wrote.
// A guest can have a device write over the very descriptors that say where it writes; after that nothing is known, and
// nothing is checked until the driver's next move.
#pragma once

#include "fuzz_input.hpp"

#include "devices/virtio/queue.hpp"

#include <vector>

namespace pyro::devices::test {

/// A queue as MmioTransport::save() tells.
struct SavedQueue {
  bool ready = false;
  virtio::QueueLayout layout;
  virtio::QueuePosition position;
};

inline std::vector<SavedQueue> saved_queues(base::ByteView saved) {
  base::ByteReader in(saved);
  in.raw(7 * 4 + 8);
  std::vector<SavedQueue> queues(in.u32());
  for (SavedQueue& queue : queues) {
    queue.ready = in.u8() == 1;
    queue.layout = {in.u16(), in.u64(), in.u64(), in.u64()};
    queue.position = {in.u16(), in.u16(), in.u16()};
  }
  require(!in.failed());
  return queues;
}

/// Where two memories of one size differ; their size if they do not. All of a memory is looked at after each move: with
/// a fuzzer's eye on every step of it, that would be most of what the fuzzer does.
#ifdef __clang__
[[clang::no_sanitize("address", "undefined", "coverage")]]
#endif
inline std::size_t
first_difference(base::ByteView left, base::ByteView right) {
  const std::byte* a = left.data();
  const std::byte* b = right.data();
  const std::size_t size = left.size();
  std::size_t at = 0;
  for (std::uint64_t x = 0, y = 0; at + sizeof(x) <= size; at += sizeof(x)) {
    __builtin_memcpy(&x, a + at, sizeof(x));
    __builtin_memcpy(&y, b + at, sizeof(y));
    if (x != y) {
      break;
    }
  }
  while (at < size && a[at] == b[at]) {
    ++at;
  }
  return at;
}

class MemoryGuard {
 public:
  enum class Writes {
    used_rings,
    /// And what descriptors name as writable.
    buffers,
    /// And whole pages, which become zero.
    zeroes,
  };

  /// `memory` has one region of RAM. All of it becomes zero.
  MemoryGuard(const memory::GuestMemory& memory, Writes writes)
      : gpa_(memory.regions()[0].gpa),
        ram_(memory.regions()[0].host, memory.regions()[0].size_bytes),
        writes_(writes),
        before_(ram_.size()) {
    std::memset(ram_.data(), 0, ram_.size());
  }

  /// What has changed is the driver's.
  void accept() { std::memcpy(before_.data(), ram_.data(), ram_.size()); }
  [[nodiscard]] bool changed() const { return first_change(0) != ram_.size(); }

  /// What has changed is the device's, which has these queues: true if all is known about it. Accepts it.
  bool check(std::span<const SavedQueue> queues) {
    written_.clear();
    decides_.clear();
    left_ = kMaxDescriptors;
    for (const SavedQueue& queue : queues) {
      if (queue.ready) {
        const std::uint64_t size = queue.layout.size;
        add(written_, queue.layout.used_gpa, virtio::kUsedRingOffset + size * virtio::kUsedElementBytes + 2);
        add(decides_, queue.layout.avail_gpa, virtio::kAvailRingOffset + size * 2 + 2);
        add_table(queue.layout.desc_gpa, size, true);
      }
    }
    merge(written_);
    merge(decides_);
    const bool known = left_ != 0 && (writes_ != Writes::buffers || !overlap());
    if (known) {
      check_changes();
    }
    accept();
    return known;
  }

 private:
  // [first, second), from the beginning of RAM.
  using Extent = std::pair<std::size_t, std::size_t>;
  // A driver's tables of tables could take for ever to look at.
  static constexpr std::uint64_t kMaxDescriptors = 4096;

  [[nodiscard]] std::size_t first_change(std::size_t from) const {
    return from + first_difference(ram_.subspan(from), std::span(before_).subspan(from));
  }

  void check_changes() const {
    auto extent = written_.begin();
    for (std::size_t at = first_change(0); at < ram_.size();) {
      while (extent != written_.end() && extent->second <= at) {
        ++extent;
      }
      if (extent != written_.end() && extent->first <= at) {
        at = extent->second;
      } else {
        require(ram_[at] == before_[at] || (writes_ == Writes::zeroes && ram_[at] == std::byte{0}));
        ++at;
      }
      at = first_change(at);
    }
  }

  void add(std::vector<Extent>& to, std::uint64_t gpa, std::uint64_t size_bytes) {
    // What is not in RAM is refused by the device.
    if (gpa >= gpa_ && gpa - gpa_ <= ram_.size() && size_bytes <= ram_.size() - (gpa - gpa_)) {
      to.emplace_back(gpa - gpa_, gpa - gpa_ + size_bytes);
    }
  }
  void add_table(std::uint64_t gpa, std::uint64_t count, bool may_be_indirect) {
    add(decides_, gpa, count * sizeof(virtio::Descriptor));
    for (std::uint64_t i = 0; left_ != 0 && i < count; ++i, --left_) {
      const std::uint64_t at = gpa - gpa_ + i * sizeof(virtio::Descriptor);
      if (at > before_.size() - sizeof(virtio::Descriptor)) {
        return;
      }
      virtio::Descriptor descriptor{};
      std::memcpy(&descriptor, before_.data() + at, sizeof(descriptor));
      if ((descriptor.flags & virtio::VIRTQ_DESC_F_INDIRECT) != 0) {
        if (may_be_indirect) {
          add_table(descriptor.addr, descriptor.len / sizeof(descriptor), false);
        }
      } else if (writes_ == Writes::buffers && (descriptor.flags & virtio::VIRTQ_DESC_F_WRITE) != 0) {
        add(written_, descriptor.addr, descriptor.len);
      }
      if (left_ == 0) {
        return;
      }
    }
  }
  // Ascending, and none touches the next.
  static void merge(std::vector<Extent>& extents) {
    std::ranges::sort(extents);
    std::size_t kept = 0;
    for (const Extent& extent : extents) {
      if (kept != 0 && extent.first <= extents[kept - 1].second) {
        extents[kept - 1].second = std::max(extents[kept - 1].second, extent.second);
      } else {
        extents[kept++] = extent;
      }
    }
    extents.resize(kept);
  }
  [[nodiscard]] bool overlap() const {
    for (auto a = written_.begin(), b = decides_.begin(); a != written_.end() && b != decides_.end();) {
      if (a->first < b->second && b->first < a->second) {
        return true;
      }
      (a->second < b->second ? a : b)++;
    }
    return false;
  }

  std::uint64_t gpa_;
  std::span<std::byte> ram_;
  Writes writes_;
  std::vector<std::byte> before_;
  std::vector<Extent> written_;
  std::vector<Extent> decides_;
  std::uint64_t left_ = 0;
};

}  // namespace pyro::devices::test
