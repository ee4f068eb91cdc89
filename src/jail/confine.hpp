// Takes from pyro-vm itself what running a VM does not need, on the assumption that the guest will own it.
//
// In two stages, because what is slow belongs before the client's message and what needs the file
// system belongs before the engine runs:
//   confine_early()    at once: descriptors, limits, user, capabilities, no_new_privs, not dumpable, no signals
//                      to outsiders. The process may still fork and execute an engine.
//   confine_process()  before the first guest instruction and before other threads exist: no file system, final limits.
//   install_filter()   (jail/seccomp.hpp) as the first act of every thread, and last on the main thread.
// Each step, those in jail/landlock.hpp included, is a function of its own, may be repeated, and never gives anything back.
// Thread rule: main thread, while it is the only one; Linux binds most of this to the calling thread.
#pragma once

#include "base/fd.hpp"
#include "jail/landlock.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pyro::jail {

/// Upper bounds; 0 leaves a limit as it is. A limit is lowered, never raised.
struct ResourceLimits {
  /// Not applied in sanitizer builds, whose shadow memory takes terabytes of addresses.
  std::uint64_t address_space_bytes = 0;
  std::uint64_t file_size_bytes = 0;
  std::uint64_t open_files = 0;
  /// Forbids writing to files altogether (sockets, pipes and eventfds are not files); wins over file_size_bytes.
  bool no_file_writes = false;
};

/// What the early stage gives back.
struct EarlyConfinement {
  /// /proc/self/smaps_rollup, opened while that was possible: read it with pread() from offset 0.
  /// Not valid where the kernel has none.
  base::Fd memory_account;
  /// Layers that this host does not offer, in words. What must hold does not depend on them.
  std::vector<std::string> missing;
};

/// The early stage. Keeps descriptors 0 to 2 and `keep_fd`, closes all others.
base::Result<EarlyConfinement> confine_early(int keep_fd);

struct ConfineOptions {
  ResourceLimits limits;
};

/// The late stage: the process has every descriptor that it will ever need. Returns the layers that
/// this host does not offer.
base::Result<std::vector<std::string>> confine_process(const ConfineOptions& options);

// ---- the steps ----

/// Closes every descriptor from 3 on except `keep_fd`.
base::Status close_stray_fds(int keep_fd);
/// Lowers limits, and forbids core dumps. Never RLIMIT_NPROC: it counts all processes of the user, not this one's.
base::Status limit_resources(const ResourceLimits& limits);
base::Result<base::Fd> open_memory_account();
/// Empties the capability bounding set where that is allowed, and under root changes to a user id of this VM's
/// own, kPrivateUidBase plus our process id; children inherit it, so that we may still end them. Where that id does not exist (a user namespace), nothing changes.
base::Status leave_root();
/// Drops every capability.
base::Status drop_capabilities();
base::Status forbid_new_privileges();
/// No core dump, no ptrace and no /proc/<pid> for others of the same user.
base::Status forbid_inspection();
/// Moves this process, and the children it starts later, into the cgroup whose cgroup.procs is open as
/// `cgroup_procs`. Errors: INVALID (it cannot be used, and why), LIMIT.
base::Status join_cgroup(int cgroup_procs);

}  // namespace pyro::jail
