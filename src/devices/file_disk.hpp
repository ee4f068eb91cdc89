// A disk that is a file of the host, moved directly from and to guest memory.
// Thread rule: as BlockBackend. Several read-only disks of several processes may share one open file: no position is used.
#pragma once

#include "base/fd.hpp"
#include "devices/block_backend.hpp"

#include <memory>

namespace pyro::devices {

class FileDisk final : public BlockBackend {
 public:
  enum class Access {
    read_only,
    /// A flush waits until everything is on the host's disk.
    read_write,
  };

  /// `file` is a regular file; what is left over behind its last whole sector is not part of the disk.
  static base::Result<std::unique_ptr<FileDisk>> open(base::Fd file, Access access = Access::read_only);

  std::uint64_t size_bytes() const noexcept override { return size_bytes_; }
  bool read_only() const noexcept override { return access_ == Access::read_only; }
  int read(std::uint64_t offset, std::span<iovec> pieces) noexcept override;
  int write(std::uint64_t offset, std::span<iovec> pieces) noexcept override;
  int flush() noexcept override;
  int discard(std::uint64_t offset, std::uint64_t length) noexcept override;
  int write_zeroes(std::uint64_t offset, std::uint64_t length) noexcept override;

 private:
  int punch(std::uint64_t offset, std::uint64_t length) noexcept;
  FileDisk(base::Fd file, std::uint64_t size_bytes, Access access) noexcept
      : file_(std::move(file)), size_bytes_(size_bytes), access_(access) {}

  base::Fd file_;
  std::uint64_t size_bytes_;
  Access access_;
};

/// The size of a regular file in whole sectors, as bytes.
base::Result<std::uint64_t> disk_size_bytes(const base::Fd& file);

}  // namespace pyro::devices
