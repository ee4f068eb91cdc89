// Fair shares of CPU: below a cgroup (version 2) that the user names and that is delegated to us, each VM is in one of its
// own, pyro-<id>, and all have the same weight. One that no process is in any more is removed by whoever starts the next
// VM, deletes one, reaps or looks with doctor: so nothing is left for long, whoever was killed.
// Thread rule: free functions and values; any number of processes may call them for the same cgroup.
#pragma once

#include "base/fd.hpp"

#include <string>

namespace pyro::client {

/// Of a VM that is being started: while this is there nobody takes it for a left-over.
class VmCgroup {
 public:
  VmCgroup() = default;
  /// Errors: of check_cgroup(), and what keeps one from being made.
  static base::Result<VmCgroup> make(const std::string& parent, const std::string& id);
  /// Where to write "0" to be in it.
  [[nodiscard]] int procs() const noexcept { return procs_.get(); }

 private:
  base::Fd directory_;
  base::Fd procs_;
};

/// Whether VMs can have cgroups of their own below `parent`; gives its children the CPU controller. Errors: INVALID (it is
/// no such directory, has processes in it, or is not delegated to us), UNSUPPORTED (no CPU controller).
base::Status check_cgroup(const std::string& parent);

/// Removes those without processes. `parent` "": there are none.
void sweep_cgroups(const std::string& parent);

}  // namespace pyro::client
