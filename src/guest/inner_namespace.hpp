// The namespaces that commands live in (pid, mount, cgroup, IPC, host name), held by an init of their own.
// That init reaps what commands leave behind; when it ends, by reboot(2) or otherwise, the kernel ends
// everything in there, and the agent makes a new one.
// Thread rule: one thread.
#pragma once

#include "guest/cgroups.hpp"
#include "guest/processes.hpp"
#include "wire/messages.hpp"

#include <sched.h>

namespace pyro::guest {

class InnerNamespace {
 public:
  /// Needs the overlay root (personalise).
  static base::Result<InnerNamespace> create(const CgroupTree& cgroups);

  /// Readable once it has ended.
  [[nodiscard]] int pidfd() const noexcept { return init_.pidfd.get(); }
  /// Call when it has ended: reaps it and tells which call of a command ended it.
  [[nodiscard]] wire::GuestResetKind reap();
  /// Ends everything in it.
  void kill() const noexcept;
  /// spawn_into() and fork_into() below its init, but as a child of the agent's. The child has yet to enter the rest:
  /// setns() to pidfd() with kRest.
  /// PYRO_ERROR_STATE: it is ending; pidfd() becomes readable when the last command in it is reaped.
  [[nodiscard]] base::Result<Child> spawn_command(int cgroup, std::span<std::byte> stack, ChildBody body,
                                                  void* argument) const;
  [[nodiscard]] base::Result<Child> fork_command(int cgroup) const;
  static constexpr int kRest = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWUTS;

 private:
  template <typename Start>
  base::Result<Child> start_below(Start start) const;

  Child init_;
  base::Fd own_pid_namespace_;
};

}  // namespace pyro::guest
