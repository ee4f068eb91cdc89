// What a tree may cost on its way, and what it did cost. Thread rule: values.
#pragma once

#include "tree/tar.hpp"

#include <cstdint>

namespace pyro::tree {

struct Limits {
  std::uint64_t max_entries = 1'000'000;
  /// Of file contents.
  std::uint64_t max_bytes = std::uint64_t{16} << 30;
  std::size_t max_path_bytes = kMaxPathBytes;
};

struct Counts {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  /// Devices, FIFOs and sockets, and what lies on other file systems: left out.
  std::uint64_t skipped = 0;
  /// Files that changed while they were read: cut, or filled up with zeros, to the size they had.
  std::uint64_t changed = 0;
};

/// Levels of directories that a tree may have. Each level costs a descriptor while the tree is walked.
inline constexpr std::size_t kMaxDepth = 200;

}  // namespace pyro::tree
