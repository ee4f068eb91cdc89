// The container of a VM's state: what a snapshot holds besides memory and disks. Sections of bytes, each with an id,
// a version, a length and a CRC-32C; what is in them belongs to whoever added them.
//
//   "PYROSNAP"  u32 format  u32 sections  then for each section, ids ascending:
//   u32 id  u32 version  u32 length  u32 crc (of id, version, length and payload)  payload
//
// All numbers are little-endian, and there is one encoding of a content: what decodes encodes to the same bytes.
// The checksum finds damage, not malice: whoever reads a section checks it as hostile.
// Thread rule: free functions and plain values, one thread each.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <vector>

namespace pyro::state {

inline constexpr std::uint32_t kSnapshotFormat = 1;
/// 16 vCPUs take well under 1 MiB and a disk's map at most 512 KiB: more than this is damage.
inline constexpr std::size_t kMaxSnapshotBytes = std::size_t{8} << 20;
/// vCPUs, devices and a few more.
inline constexpr std::size_t kMaxSnapshotSections = 256;

class SnapshotWriter {
 public:
  /// Adds a section; ids are added in ascending order, each once.
  base::Status add(std::uint32_t id, std::uint32_t version, base::ByteView payload);
  [[nodiscard]] base::Bytes finish() &&;

 private:
  base::ByteWriter sections_;
  std::uint32_t count_ = 0;
  std::uint32_t last_id_ = 0;
};

class SnapshotReader {
 public:
  struct Section {
    std::uint32_t id = 0;
    std::uint32_t version = 0;
    base::ByteView payload;
  };

  /// Takes a container apart, which is borrowed and outlives the reader. Refuses whatever SnapshotWriter would not
  /// have written.
  static base::Result<SnapshotReader> parse(base::ByteView snapshot);

  /// The payload of section `id`, which has to be there in this version. `what` names it in messages.
  [[nodiscard]] base::Result<base::ByteView> section(std::uint32_t id, std::uint32_t version, const char* what) const;
  /// All of them, ids ascending.
  [[nodiscard]] const std::vector<Section>& sections() const noexcept { return sections_; }

 private:
  std::vector<Section> sections_;
};

}  // namespace pyro::state
