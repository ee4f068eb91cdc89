// The environments that pyro-image knows how to build.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pyro::image {

struct CatalogueEntry {
  std::string_view name;
  /// One line for people.
  std::string_view description;
  /// Packages on top of Debian's minimal system (essential packages and apt).
  std::vector<std::string_view> packages;
  /// Free disk that a build needs at its peak: packages, tree and image at once, with a margin.
  std::uint64_t needs_mib = 0;
};

/// The suite that all entries are built from.
inline constexpr std::string_view kSuite = "bookworm";

std::span<const CatalogueEntry> catalogue();
/// nullptr if it has no such entry.
const CatalogueEntry* find_in_catalogue(std::string_view name);

}  // namespace pyro::image
