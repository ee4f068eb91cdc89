// Giving up privileges by bare system calls: async-signal-safe, so that a child may call them between
// fork() and exec(). False: errno says why. The process that confines itself uses jail/confine.hpp.
#pragma once

#include <cstdint>

#include <sys/resource.h>
#include <sys/types.h>

namespace pyro::jail {

/// First of the user ids that pyro-vm and its engine run under where root starts them: this plus the
/// process id of pyro-vm, so that no two running VMs, and nobody else, share one.
inline constexpr std::uint32_t kPrivateUidBase = 0x70000000;

/// Empties this thread's capability bounding set, where that is allowed: by CAP_SETPCAP, so before
/// take_private_user().
void drop_bounding_set() noexcept;

/// Under root: changes to the private user id that belongs to `owner`, in this thread's process. An id
/// that does not exist here (a user namespace that does not map it, where root is not the host's root)
/// is not an error. Clears the parent-death signal.
bool take_private_user(pid_t owner) noexcept;

/// Drops every capability of this thread.
bool drop_all_capabilities() noexcept;

/// Lowers a limit, soft and hard, to `value` if it is higher.
bool lower_limit(__rlimit_resource resource, std::uint64_t value) noexcept;

}  // namespace pyro::jail
