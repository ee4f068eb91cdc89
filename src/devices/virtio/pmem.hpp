// virtio-pmem (virtio 1.2, 5.19): a range of guest physical addresses, which room vmm has mapped to the root image.
// The image is read-only, so a flush has nothing to do.
// Thread rule: as virtio::Device.
#pragma once

#include "devices/virtio/device.hpp"
#include "memory/guest_memory.hpp"

namespace pyro::devices::virtio {

class Pmem final : public Device {
 public:
  /// `range`: where the guest finds the image; 2 MiB aligned, for huge pages.
  explicit Pmem(const memory::Range& range) noexcept : range_(range) {}

  std::uint32_t device_id() const noexcept override { return VIRTIO_ID_PMEM; }
  std::uint64_t features() const noexcept override { return 0; }
  std::span<const std::uint16_t> queue_sizes() const noexcept override;
  void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
  void process_queue(std::uint16_t index) noexcept override;

  void save(base::ByteWriter& out) const override;
  base::Status restore(base::ByteReader& in) override;

 private:
  const memory::Range range_;
};

}  // namespace pyro::devices::virtio
