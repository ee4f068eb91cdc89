// Unpacking a tar archive that nobody vouches for into an empty directory.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace pyro::image {

/// What was unpacked.
struct ExtractCounts {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  /// Device nodes and sockets, which an image does not carry.
  std::uint64_t skipped = 0;
};

struct ExtractLimits {
  std::uint64_t max_bytes = 0;
  /// More files than any distribution has packages' files for.
  std::uint64_t max_entries = 4'000'000;
};

/// Checks a name inside an archive: relative, without "..", not overlong. Errors: INVALID. Pure.
base::Status check_entry_name(std::string_view name);

/// Unpacks the archive behind `fd` into the current directory, with owners, modes and times. Names that would leave it,
/// by themselves, through a link, or as a hard link's target, are refused. Call in a process that is confined to the
/// directory (confine_to()). `what` names the archive.
base::Result<ExtractCounts> extract_here(int fd, const std::string& what, const ExtractLimits& limits,
                                         const std::function<void(const ExtractCounts&)>& on_progress);

/// Makes `directory` the root and the working directory of this process, for good.
base::Status confine_to(const std::string& directory);

}  // namespace pyro::image
