// Fair shares of CPU: below a cgroup (version 2) that the user names and that is delegated to us, each VM is in one of its
// own, pyro-<id>, and all have the same weight. One that no process is in any more is removed by whoever starts the next
// VM, deletes one or reaps: so nothing is left for long, whoever was killed.
// Thread rule: free functions and values; any number of processes may call them for the same cgroup.
#pragma once

#include "base/fd.hpp"

#include <string>

#include <sys/types.h>

namespace pyro::client {

/// Of a VM that is being started: while this is there nobody takes it for a left-over. It is told by a lock (flock(2)) that
/// is given up by unlocking, as FileLock is.
class VmCgroup {
 public:
  VmCgroup() = default;
  VmCgroup(VmCgroup&&) noexcept = default;
  VmCgroup& operator=(VmCgroup&& other) noexcept;
  ~VmCgroup() { release(); }
  /// Errors: of check_cgroup(), and what keeps one from being made.
  static base::Result<VmCgroup> make(const std::string& parent, const std::string& id);
  /// Where to write "0" to be in it.
  [[nodiscard]] int procs() const noexcept { return procs_.get(); }

 private:
  void release() noexcept;

  base::Fd directory_;
  base::Fd procs_;
  pid_t owner_ = 0;
};

/// Whether VMs that this process starts can have cgroups of their own below `parent`; only looks. Errors: INVALID (it is no
/// such directory, has processes or threads in it, or is not delegated to us together with our own), UNSUPPORTED (no CPU
/// controller).
base::Status check_cgroup(const std::string& parent);

/// Removes those without processes, and nothing that is no cgroup. `parent` "": there are none.
void sweep_cgroups(const std::string& parent);

}  // namespace pyro::client
