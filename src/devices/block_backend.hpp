// Where the sectors of a virtio-blk device are.
// Thread rule: one thread at a time, the device's worker. Every function may block on the host's disk.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <span>

#include <sys/uio.h>

namespace pyro::devices {

/// The unit of addresses and lengths.
inline constexpr std::uint64_t kSectorBytes = 512;

class BlockBackend {
 public:
  BlockBackend() = default;
  BlockBackend(const BlockBackend&) = delete;
  BlockBackend& operator=(const BlockBackend&) = delete;
  virtual ~BlockBackend() = default;

  /// A whole number of sectors. Constant.
  [[nodiscard]] virtual std::uint64_t size_bytes() const noexcept = 0;
  [[nodiscard]] virtual bool read_only() const noexcept = 0;

  // Each gives 0 or an errno. `offset` and the total length are whole sectors inside the disk; the device has checked.
  // `pieces` may be changed by the call, and their memory by a guest meanwhile.
  virtual int read(std::uint64_t offset, std::span<iovec> pieces) noexcept = 0;
  virtual int write(std::uint64_t offset, std::span<iovec> pieces) noexcept = 0;
  virtual int flush() noexcept = 0;
  /// Reads as zero afterwards where it is cheap, and frees the host's disk.
  virtual int discard(std::uint64_t offset, std::uint64_t length) noexcept = 0;
  /// Reads as zero afterwards. EOPNOTSUPP where that would mean writing all of it: a range may be large, and the driver,
  /// who can write zeros as well, does it in requests of usual size.
  virtual int write_zeroes(std::uint64_t offset, std::uint64_t length) noexcept = 0;

  /// What a snapshot needs besides the files themselves. restore() is as Device::restore().
  virtual void save(base::ByteWriter& /*out*/) const {}
  virtual base::Status restore(base::ByteReader& /*in*/) { return base::success(); }
};

}  // namespace pyro::devices
