// The device's side of a split virtqueue (virtio 1.2, 2.7). Its three areas are checked once, when the driver has
// finished setting up; after that every access is typed and inside them.
// What the driver does wrong breaks the queue for good: pop() then gives nothing, and broken() says why. Devices do
// not look: the transport does, after they have returned.
// Thread rule: one thread at a time, the one that works for the device (virtio/transport.hpp).
#pragma once

#include "base/result.hpp"
#include "devices/virtio/chain.hpp"
#include "devices/virtio/spec.hpp"
#include "memory/guest_memory.hpp"

#include <cstdint>

namespace pyro::devices::virtio {

/// Where the driver has put a queue.
struct QueueLayout {
  std::uint16_t size = 0;
  std::uint64_t desc_gpa = 0;
  std::uint64_t avail_gpa = 0;
  std::uint64_t used_gpa = 0;
};

/// How far the device has come; what a snapshot needs besides the layout.
struct QueuePosition {
  std::uint16_t next_avail = 0;
  std::uint16_t next_used = 0;
  /// The used index when the driver was last interrupted.
  std::uint16_t signalled_used = 0;
};

/// Buffers of one chain. A driver may make chains longer than its queue through an indirect table (Linux does, within
/// the limit that the device names, such as seg_max); more than this is not meant seriously.
inline constexpr std::size_t kMaxChainBuffers = 1024;

class Queue {
 public:
  /// `memory` is borrowed. Fails if the layout is not one that the specification allows, or not in RAM, or if
  /// more chains are under way in `position` than the queue has descriptors.
  static base::Result<Queue> create(const memory::GuestMemory& memory, const QueueLayout& layout,
                                    std::uint64_t features, const QueuePosition& position = {});

  /// The next chain that the driver has made available. False if there is none, or if the queue is broken.
  [[nodiscard]] bool pop(Chain& chain) noexcept;
  /// Takes the last pop() back: the next one gives the same chain, read anew.
  void undo_pop() noexcept { --position_.next_avail; }
  /// Gives a chain back to the driver, with the number of bytes written to it.
  void push(const Chain& chain, std::uint32_t written_bytes) noexcept;

  /// Asks the driver not to ring the doorbell. A hint, and how most doorbells are saved.
  void disable_notifications() noexcept;
  /// Asks it to ring for the next chain. True if one has come meanwhile, for which it may not have rung.
  [[nodiscard]] bool enable_notifications() noexcept;
  /// Whether the driver wants an interrupt for what was pushed since it was last asked.
  [[nodiscard]] bool take_interrupt() noexcept;

  /// Marks the queue as unusable; the first reason stays. `why` is a literal.
  void set_broken(const char* why) noexcept;
  /// Why the queue is unusable, or nullptr.
  [[nodiscard]] const char* broken() const noexcept { return broken_; }

  [[nodiscard]] std::uint16_t size() const noexcept { return size_; }
  [[nodiscard]] const QueuePosition& position() const noexcept { return position_; }

 private:
  explicit Queue(const memory::GuestMemory& memory) noexcept : memory_(&memory) {}
  bool has_available() noexcept;
  bool resolve(Chain& chain) noexcept;
  bool add_buffer(Chain& chain, const Descriptor& descriptor) noexcept;
  bool refuse(const char* why) noexcept;

  const memory::GuestMemory* memory_;
  std::byte* desc_ = nullptr;
  std::byte* avail_ = nullptr;
  std::byte* used_ = nullptr;
  std::uint16_t size_ = 0;
  bool event_idx_ = false;
  bool indirect_ = false;
  QueuePosition position_;
  const char* broken_ = nullptr;
};

}  // namespace pyro::devices::virtio
