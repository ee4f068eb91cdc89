// A writable disk: a pristine file that VMs share, and a private one for what this VM writes. A map in memory says
// which clusters are in the private file; it has the layout of the disk, sparse, so it never grows beyond it.
// Clusters are pages, the unit in which Linux writes: only a smaller write copies anything. Holes of the shared file
// are known and cost no reading, and a fresh file system is almost only holes.
// Thread rule: as BlockBackend. The shared file is used without its position.
#pragma once

#include "base/fd.hpp"
#include "devices/block_backend.hpp"
#include "devices/cluster_map.hpp"

#include <memory>
#include <vector>

namespace pyro::devices {

/// Clusters of a disk: 512 KiB per map. Larger disks get larger clusters: 4 KiB up to 16 GiB, 256 KiB at 1 TiB.
inline constexpr std::uint64_t kMaxClusters = std::uint64_t{1} << 22;
/// The largest disk; the largest that the product offers.
inline constexpr std::uint64_t kMaxDiskBytes = std::uint64_t{1} << 40;

class OverlayDisk final : public BlockBackend {
 public:
  enum class Durability {
    /// A flush does nothing: what is written does not outlive the VM.
    none,
    /// A flush waits until the private file is on the host's disk.
    flush,
  };

  /// `base`: a regular file, only read. `delta`: a regular file, made as long as `base`; empty, or to be restore()d.
  static base::Result<std::unique_ptr<OverlayDisk>> create(base::Fd base, base::Fd delta, Durability durability);

  std::uint64_t size_bytes() const noexcept override { return size_bytes_; }
  bool read_only() const noexcept override { return false; }
  int read(std::uint64_t offset, std::span<iovec> pieces) noexcept override;
  int write(std::uint64_t offset, std::span<iovec> pieces) noexcept override;
  int flush() noexcept override;
  int discard(std::uint64_t offset, std::uint64_t length) noexcept override;
  int write_zeroes(std::uint64_t offset, std::uint64_t length) noexcept override;

  void save(base::ByteWriter& out) const override;
  base::Status restore(base::ByteReader& in) override;

 private:
  enum class Source { base, delta, zeroes };

  OverlayDisk(base::Fd base, base::Fd delta, Durability durability, std::uint64_t size_bytes, unsigned cluster_shift);
  void find_holes() noexcept;
  [[nodiscard]] Source source(std::size_t cluster) const noexcept;
  [[nodiscard]] std::size_t cluster_of(std::uint64_t offset) const noexcept;
  int read_from(Source source, std::uint64_t offset, std::span<iovec> pieces) noexcept;
  int copy_cluster(std::size_t cluster) noexcept;
  int zero_clusters(std::size_t begin, std::size_t end) noexcept;
  int zero_bytes(std::uint64_t offset, std::uint64_t length) noexcept;

  base::Fd base_;
  base::Fd delta_;
  Durability durability_;
  std::uint64_t size_bytes_;
  unsigned cluster_shift_;
  ClusterMap in_delta_;
  ClusterMap in_base_;  // not a hole of the shared file
  std::vector<iovec> part_;
  std::vector<std::byte> cluster_;
};

}  // namespace pyro::devices
