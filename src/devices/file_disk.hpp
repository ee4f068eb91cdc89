// A read-only disk that is a file of the host, read directly into guest memory.
// Thread rule: as BlockBackend. Several disks of several processes may share one open file: no position is used.
#pragma once

#include "base/fd.hpp"
#include "devices/block_backend.hpp"

#include <memory>

namespace pyro::devices {

class FileDisk final : public BlockBackend {
 public:
  /// `file` is a regular file; what is left over behind its last whole sector is not part of the disk.
  static base::Result<std::unique_ptr<FileDisk>> open(base::Fd file);

  std::uint64_t size_bytes() const noexcept override { return size_bytes_; }
  bool read_only() const noexcept override { return true; }
  int read(std::uint64_t offset, std::span<iovec> pieces) noexcept override;
  int write(std::uint64_t offset, std::span<iovec> pieces) noexcept override;
  int flush() noexcept override { return 0; }
  int discard(std::uint64_t offset, std::uint64_t length) noexcept override;
  int write_zeroes(std::uint64_t offset, std::uint64_t length) noexcept override;

 private:
  FileDisk(base::Fd file, std::uint64_t size_bytes) noexcept : file_(std::move(file)), size_bytes_(size_bytes) {}

  base::Fd file_;
  std::uint64_t size_bytes_;
};

/// The size of a regular file in whole sectors, as bytes.
base::Result<std::uint64_t> disk_size_bytes(const base::Fd& file);

}  // namespace pyro::devices
