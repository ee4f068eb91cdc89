// Which process a number means, and in which boot of the host. Thread rule: free functions.
#pragma once

#include <cstdint>
#include <string>

namespace pyro::client {

/// When a process started, in clock ticks since the host's boot (proc(5), stat, field 22): together with its number that
/// is its own until the next boot. 0: there is none, or it cannot be told.
std::int64_t process_start(std::int64_t pid);

/// Of the host's current boot; "" if it cannot be told.
std::string current_boot_id();

}  // namespace pyro::client
