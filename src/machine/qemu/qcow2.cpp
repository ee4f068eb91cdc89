#include "machine/qemu/qcow2.hpp"

#include <array>
#include <cerrno>

#include <unistd.h>

namespace pyro::machine {

namespace {

// Layout, from QEMU's docs/interop/qcow2.txt: header, refcount table, one refcount block, L1 table.
constexpr std::uint32_t kClusterBits = 16;
constexpr std::uint64_t kClusterBytes = 1ULL << kClusterBits;
constexpr std::uint64_t kRefcountTableOffset = kClusterBytes;
constexpr std::uint64_t kRefcountBlockOffset = 2 * kClusterBytes;
constexpr std::uint64_t kL1TableOffset = 3 * kClusterBytes;
constexpr std::uint64_t kMetadataClusters = 4;
// One L2 table fills a cluster with 8-byte entries of one cluster each.
constexpr std::uint64_t kBytesPerL1Entry = kClusterBytes / 8 * kClusterBytes;
constexpr std::uint64_t kMaxL1Entries = kClusterBytes / 8;

template <std::size_t N>
void put_big_endian(std::array<std::uint8_t, N>& out, std::size_t at, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) {
    out[at + i] = static_cast<std::uint8_t>(value >> (8 * (width - 1 - i)));
  }
}

template <std::size_t N>
base::Status write_at(int fd, const std::array<std::uint8_t, N>& bytes, std::uint64_t offset) {
  if (::pwrite(fd, bytes.data(), N, static_cast<off_t>(offset)) != static_cast<ssize_t>(N)) {
    return base::errno_error(errno, "cannot write the scratch disk");
  }
  return base::success();
}

}  // namespace

base::Status write_empty_qcow2(int fd, std::uint64_t size_bytes) {
  const std::uint64_t l1_entries = (size_bytes + kBytesPerL1Entry - 1) / kBytesPerL1Entry;
  if (size_bytes == 0 || l1_entries > kMaxL1Entries) {
    return base::make_error(PYRO_ERROR_INVALID, "a scratch disk cannot have {} bytes", size_bytes);
  }
  std::array<std::uint8_t, 104> header{};
  put_big_endian(header, 0, 0x514649fb, 4);  // "QFI\xfb"
  put_big_endian(header, 4, 3, 4);
  put_big_endian(header, 20, kClusterBits, 4);
  put_big_endian(header, 24, size_bytes, 8);
  put_big_endian(header, 36, l1_entries, 4);
  put_big_endian(header, 40, kL1TableOffset, 8);
  put_big_endian(header, 48, kRefcountTableOffset, 8);
  put_big_endian(header, 56, 1, 4);  // clusters of the refcount table
  put_big_endian(header, 96, 4, 4);  // refcount_order: 16 bits
  put_big_endian(header, 100, header.size(), 4);
  PYRO_TRY(write_at(fd, header, 0));

  std::array<std::uint8_t, 8> first_block{};
  put_big_endian(first_block, 0, kRefcountBlockOffset, 8);
  PYRO_TRY(write_at(fd, first_block, kRefcountTableOffset));

  std::array<std::uint8_t, 2 * kMetadataClusters> refcounts{};
  for (std::size_t cluster = 0; cluster < kMetadataClusters; ++cluster) {
    put_big_endian(refcounts, 2 * cluster, 1, 2);
  }
  PYRO_TRY(write_at(fd, refcounts, kRefcountBlockOffset));
  // The L1 table is all zero: every cluster is the base's.
  if (::ftruncate(fd, static_cast<off_t>(kMetadataClusters * kClusterBytes)) != 0) {
    return base::errno_error(errno, "cannot write the scratch disk");
  }
  return base::success();
}

}  // namespace pyro::machine
