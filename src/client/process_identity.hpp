// Which process a number means. Thread rule: free functions.
#pragma once

#include <cstdint>

namespace pyro::client {

/// When a process started, in clock ticks since the host's boot (proc(5), stat, field 22): together with its number that
/// is its own until the next boot. 0: there is none, or it cannot be told.
std::int64_t process_start(std::int64_t pid);

}  // namespace pyro::client
