// virtio-rng (virtio 1.2, 5.4): bytes of the host's random number generator.
// Thread rule: as virtio::Device.
#pragma once

#include "devices/virtio/device.hpp"

namespace pyro::devices::virtio {

/// Bytes per request. A driver asks for a cache line or a page; more would only keep the worker from other devices.
inline constexpr std::size_t kMaxRandomBytes = 4096;

class Rng final : public Device {
 public:
  std::uint32_t device_id() const noexcept override { return VIRTIO_ID_RNG; }
  std::uint64_t features() const noexcept override { return 0; }
  std::span<const std::uint16_t> queue_sizes() const noexcept override;
  void read_config(std::uint64_t, std::span<std::byte>) const noexcept override {}
  void process_queue(std::uint16_t index) noexcept override;
};

}  // namespace pyro::devices::virtio
