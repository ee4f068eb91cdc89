// What the processes of a VM cost the host: its supervisor and, on the software engine, QEMU below it.
// Thread rule: free functions.
#pragma once

#include <cstdint>

namespace pyro::client {

struct ProcessUsage {
  /// User and system time, the guest's among it.
  std::uint64_t cpu_time_ms = 0;
  /// Resident memory that is no file's: anonymous and shared memory, the guest's among it (proc(5), status, RssAnon and
  /// RssShmem: what any user may read). Pages that VMs share count for each of them.
  std::uint64_t memory_bytes = 0;
};

/// Of a process that started at `start` (process_identity.hpp) and its children; zeros if it is not there any more, or
/// its number is another one's by now.
ProcessUsage usage_of(std::int64_t pid, std::int64_t start);

}  // namespace pyro::client
