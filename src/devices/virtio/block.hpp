// virtio-blk (virtio 1.2, 5.2). The worker of this device does nothing else, because its requests wait for the host's
// disk: one request at a time, read and written directly between guest memory and the file.
// What fails on the host, a full disk included, is VIRTIO_BLK_S_IOERR to the guest.
// Thread rule: as virtio::Device.
#pragma once

#include "devices/block_backend.hpp"
#include "devices/virtio/device.hpp"

#include <memory>
#include <string>
#include <vector>

namespace pyro::devices::virtio {

/// Data of one request. Linux sends 1.25 MiB at most; this leaves room, and bounds how long a reset waits.
inline constexpr std::uint64_t kMaxBlockRequestBytes = std::uint64_t{16} << 20;

class Block final : public Device {
 public:
  /// `serial`: how the guest finds the disk (/sys/block/*/serial), at most 20 bytes.
  Block(std::unique_ptr<BlockBackend> backend, const std::string& serial);

  std::uint32_t device_id() const noexcept override { return VIRTIO_ID_BLOCK; }
  std::uint64_t features() const noexcept override;
  std::span<const std::uint16_t> queue_sizes() const noexcept override;
  void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
  void process_queue(std::uint16_t index) noexcept override;

  void save(base::ByteWriter& out) const override;
  base::Status restore(base::ByteReader& in) override;

 private:
  struct Request;

  void serve(Queue& queue, const Chain& chain) noexcept;
  std::uint8_t execute(const Chain& chain, const Request& request, std::uint64_t data_bytes,
                       std::uint32_t& written) noexcept;
  std::uint8_t transfer(const Chain& chain, const Request& request, std::uint64_t data_bytes,
                        std::uint32_t& written) noexcept;
  std::uint8_t change_ranges(const Chain& chain, std::uint32_t type) noexcept;
  [[nodiscard]] bool inside(std::uint64_t sector, std::uint64_t length) const noexcept;

  const std::unique_ptr<BlockBackend> backend_;
  const std::string serial_;
  std::vector<iovec> pieces_;
  // Since the driver was last interrupted in the middle of a batch.
  std::uint32_t unsignalled_requests_ = 0;
  std::uint64_t unsignalled_bytes_ = 0;
};

}  // namespace pyro::devices::virtio
