// Caps for all VMs of a home folder together: where they are set, and what they are if nobody says.
// Thread rule: free functions.
#pragma once

#include "client/settings.hpp"

#include <functional>
#include <optional>
#include <string>

namespace pyro::client {

/// From options, else environment variables; 0 where neither says anything. Errors: INVALID.
base::Result<Caps> read_caps(const pyro_open_options& options,
                             const std::function<std::string(const char*)>& environment_variable);

/// With what follows from the host's size in the place of zeros. `home` need not be there.
Caps with_defaults(Caps caps, const std::string& home);

/// Of the host, or what the cgroups of this process (version 2) allow if that is less. MiB.
std::uint64_t host_memory_mib();

/// Nothing: it cannot be told.
struct DiskRoom {
  std::uint64_t total_mib = 0;
  std::uint64_t free_mib = 0;
};
std::optional<DiskRoom> disk_room(const std::string& path);

}  // namespace pyro::client
