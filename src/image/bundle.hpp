// The bundle: one environment as one tar file that other hosts import. Its entries, in this order: "pyro-bundle.json"
// (NameRecord's encoding with time 0), "manifest.json", "kernel", "initramfs", "root.erofs". The same environment gives
// the same bytes.
#pragma once

#include "state/environment.hpp"

#include <array>
#include <string_view>

namespace pyro::image {

inline constexpr std::string_view kBundleRecord = "pyro-bundle.json";
inline constexpr std::string_view kBundleManifest = "manifest.json";
/// What is read or written of a file at a time.
inline constexpr std::size_t kBundleCopyBytes = std::size_t{1} << 20;

struct BundleFile {
  std::string_view entry;
  std::string_view what;
  state::BlobRef blob;
};

/// The large entries of a bundle in their order.
inline std::array<BundleFile, 3> bundle_files(const state::Manifest& manifest) {
  return {{{"kernel", "kernel", manifest.kernel},
           {"initramfs", "initramfs", manifest.initramfs},
           {"root.erofs", "root image", manifest.root}}};
}

}  // namespace pyro::image
