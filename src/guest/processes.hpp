// Making processes straight into a cgroup.
// Thread rule: one thread; the agent has no other, so a child may do what it likes before it executes.
#pragma once

#include "base/fd.hpp"

#include <cstdint>

#include <sys/types.h>

namespace pyro::guest {

struct Child {
  /// As the agent sees it; 0 in the child itself.
  pid_t pid = 0;
  /// Readable once the child has ended. Not in the child.
  base::Fd pidfd;

  [[nodiscard]] bool is_me() const noexcept { return pid == 0; }
};

/// fork(), but the child begins its life in the cgroup and in new namespaces (CLONE_NEW…).
base::Result<Child> fork_into(int cgroup, std::uint64_t new_namespaces);

}  // namespace pyro::guest
