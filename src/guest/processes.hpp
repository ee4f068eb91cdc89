// Making processes straight into a cgroup.
// Thread rule: one thread.
#pragma once

#include "base/fd.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

#include <sys/types.h>

namespace pyro::guest {

struct Child {
  /// As the agent sees it; 0 in the child itself.
  pid_t pid = 0;
  /// Readable once the child has ended. Not in the child.
  base::Fd pidfd;

  [[nodiscard]] bool is_me() const noexcept { return pid == 0; }
};

/// fork(), but the child begins its life in the cgroup and in new namespaces (CLONE_NEW…). It may do what it likes with
/// its memory, but not start threads or call what talks to those of the agent (setuid() does).
base::Result<Child> fork_into(int cgroup, std::uint64_t new_namespaces);

using ChildBody = void (*)(void* argument) noexcept;

/// A child in the cgroup that runs body(argument) on `stack`, in the memory of the agent itself, which goes on beside it:
/// no page table is copied and no page is written twice, which is most of what fork() costs. Its descriptors, signal
/// handlers and working directory are copies. `body` must not return, allocate, lock or touch errno (system_call.hpp is
/// there for that). `stack`, and what `argument` leads to, must live until the child has executed a program or ended.
base::Result<Child> spawn_into(int cgroup, std::span<std::byte> stack, ChildBody body, void* argument);

}  // namespace pyro::guest
