// Names and numbers of the virtio 1.2 specification that all devices share, with their sections. The names are the
// specification's own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pyro::devices::virtio {

// 2.1 device status field.
inline constexpr std::uint32_t VIRTIO_STATUS_ACKNOWLEDGE = 1;
inline constexpr std::uint32_t VIRTIO_STATUS_DRIVER = 2;
inline constexpr std::uint32_t VIRTIO_STATUS_DRIVER_OK = 4;
inline constexpr std::uint32_t VIRTIO_STATUS_FEATURES_OK = 8;
inline constexpr std::uint32_t VIRTIO_STATUS_DEVICE_NEEDS_RESET = 64;
inline constexpr std::uint32_t VIRTIO_STATUS_FAILED = 128;

// 6 reserved feature bits, as masks.
inline constexpr std::uint64_t VIRTIO_F_INDIRECT_DESC = std::uint64_t{1} << 28;
inline constexpr std::uint64_t VIRTIO_F_EVENT_IDX = std::uint64_t{1} << 29;
inline constexpr std::uint64_t VIRTIO_F_VERSION_1 = std::uint64_t{1} << 32;

// 2.7.5 the descriptor table of a split virtqueue.
inline constexpr std::uint16_t VIRTQ_DESC_F_NEXT = 1;
inline constexpr std::uint16_t VIRTQ_DESC_F_WRITE = 2;
inline constexpr std::uint16_t VIRTQ_DESC_F_INDIRECT = 4;
struct Descriptor {
  std::uint64_t addr;
  std::uint32_t len;
  std::uint16_t flags;
  std::uint16_t next;
};
static_assert(sizeof(Descriptor) == 16);

// 2.7.6 the available ring: flags, idx, ring[size], used_event. Aligned to 2 bytes.
inline constexpr std::uint16_t VIRTQ_AVAIL_F_NO_INTERRUPT = 1;
inline constexpr std::size_t kAvailIdxOffset = 2;
inline constexpr std::size_t kAvailRingOffset = 4;
// 2.7.8 the used ring: flags, idx, ring[size] of {id, len}, avail_event. Aligned to 4 bytes.
inline constexpr std::uint16_t VIRTQ_USED_F_NO_NOTIFY = 1;
inline constexpr std::size_t kUsedIdxOffset = 2;
inline constexpr std::size_t kUsedRingOffset = 4;
inline constexpr std::size_t kUsedElementBytes = 8;

// 2.7: the largest split virtqueue.
inline constexpr std::uint16_t kMaxQueueSize = 32768;

// 5 device types.
inline constexpr std::uint32_t VIRTIO_ID_NET = 1;
inline constexpr std::uint32_t VIRTIO_ID_BLOCK = 2;
inline constexpr std::uint32_t VIRTIO_ID_CONSOLE = 3;
inline constexpr std::uint32_t VIRTIO_ID_RNG = 4;
inline constexpr std::uint32_t VIRTIO_ID_BALLOON = 5;
inline constexpr std::uint32_t VIRTIO_ID_PMEM = 27;

}  // namespace pyro::devices::virtio
