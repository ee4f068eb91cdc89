// Directory trees: removing them, and making a fresh root file system the same on every host.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>

namespace pyro::image {

/// All files of an image carry this time (2023-11-14): after 1980, which zip archives need, and before any guest's
/// clock.
inline constexpr std::int64_t kSourceDateEpoch = 1'700'000'000;

/// Removes a directory with all that is in it. Unmounts what is mounted below it first and never crosses into
/// another file system, so that a killed build's /dev and /sys cost nothing but themselves. Absent is fine.
base::Status remove_tree(const std::string& path);

/// Disk space that the files of a tree take, in bytes.
std::uint64_t tree_size(const std::string& path);

/// Removes from a tree that mmdebstrap made whatever depends on the host, the time or chance, and adds what every
/// guest has: /workspace, /etc/hosts, empty host files.
base::Status tidy_built_tree(const std::string& root);

/// Makes sure that a foreign tree has the directories that the guest agent mounts on, and looks like a root file
/// system. Nothing in it is followed. Errors: INVALID.
base::Status prepare_imported_tree(const std::string& root);

}  // namespace pyro::image
