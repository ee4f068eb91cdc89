// virtio-net (virtio 1.2, 5.1) with its link down: there so that the set of devices is the same with and without a
// network. What is sent is dropped, nothing is received.
// Thread rule: as virtio::Device.
#pragma once

#include "devices/virtio/device.hpp"

#include <array>

namespace pyro::devices::virtio {

using MacAddress = std::array<std::uint8_t, 6>;

class Net final : public Device {
 public:
  explicit Net(const MacAddress& mac) noexcept;

  std::uint32_t device_id() const noexcept override { return VIRTIO_ID_NET; }
  std::uint64_t features() const noexcept override;
  std::span<const std::uint16_t> queue_sizes() const noexcept override;
  void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
  void process_queue(std::uint16_t index) noexcept override;

 private:
  // 5.1.4: mac[6], status.
  std::array<std::byte, 8> config_{};
};

}  // namespace pyro::devices::virtio
