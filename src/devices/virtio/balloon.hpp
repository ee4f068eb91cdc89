// virtio-balloon (virtio 1.2, 5.5): how memory that the guest does not use comes back to the host. By itself, through
// free page reporting; on request, by inflating.
// Thread rule: as virtio::Device; set_target_pages and actual_pages from any thread.
#pragma once

#include "devices/virtio/device.hpp"
#include "memory/guest_memory.hpp"

#include <atomic>

namespace pyro::devices::virtio {

class Balloon final : public Device {
 public:
  /// `memory` is borrowed.
  explicit Balloon(const memory::GuestMemory& memory) noexcept : memory_(memory) {}

  /// Asks the guest to hand over this many pages of 4 KiB, in all.
  void set_target_pages(std::uint32_t pages) noexcept;
  /// What the guest says it has handed over.
  [[nodiscard]] std::uint32_t actual_pages() const noexcept { return actual_pages_.load(); }
  /// Bytes that free page reporting and inflating gave back to the host, counting each time.
  [[nodiscard]] std::uint64_t discarded_bytes() const noexcept { return discarded_bytes_.load(); }

  std::uint32_t device_id() const noexcept override { return VIRTIO_ID_BALLOON; }
  std::uint64_t features() const noexcept override;
  std::span<const std::uint16_t> queue_sizes() const noexcept override;
  void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
  void write_config(std::uint64_t offset, base::ByteView data) noexcept override;
  void reset() noexcept override;
  void process_queue(std::uint16_t index) noexcept override;

  void save(base::ByteWriter& out) const override;
  base::Status restore(base::ByteReader& in) override;

 private:
  void inflate(const Chain& chain) noexcept;
  void report(const Chain& chain) noexcept;
  void discard(std::uint64_t gpa, std::uint64_t size_bytes) noexcept;

  const memory::GuestMemory& memory_;
  std::atomic<std::uint32_t> target_pages_{0};
  std::atomic<std::uint32_t> actual_pages_{0};
  std::atomic<std::uint64_t> discarded_bytes_{0};
};

}  // namespace pyro::devices::virtio
