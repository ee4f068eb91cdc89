#include "devices/virtio/net.hpp"

namespace pyro::devices::virtio {

namespace {

// 5.1.3 feature bits.
constexpr std::uint64_t VIRTIO_NET_F_MAC = std::uint64_t{1} << 5;
constexpr std::uint64_t VIRTIO_NET_F_STATUS = std::uint64_t{1} << 16;

// 5.1.2: receiveq1, transmitq1. Small: a driver fills the first with buffers that are never used.
constexpr std::array<std::uint16_t, 2> kNetQueueSizes{32, 32};
constexpr std::uint16_t kTransmitQueue = 1;

}  // namespace

Net::Net(const MacAddress& mac) noexcept {
  // Status stays 0: VIRTIO_NET_S_LINK_UP is not set (5.1.4).
  std::memcpy(config_.data(), mac.data(), mac.size());
}

std::uint64_t Net::features() const noexcept {
  return VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS;
}

std::span<const std::uint16_t> Net::queue_sizes() const noexcept {
  return kNetQueueSizes;
}

void Net::read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept {
  copy_config(config_, offset, data);
}

void Net::process_queue(std::uint16_t index) noexcept {
  Queue* queue = transport().queue(index);
  if (queue == nullptr) {
    return;
  }
  if (index != kTransmitQueue) {
    queue->disable_notifications();
    return;
  }
  serve_queue(*queue, [queue](const Chain& chain) { queue->push(chain, 0); });
}

}  // namespace pyro::devices::virtio
