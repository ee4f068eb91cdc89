// The cgroup v2 tree of a guest, mounted where only the agent sees it:
//   /cgroup/commands        limits of all commands together; root of their cgroup namespace
//   /cgroup/commands/init   the inner namespace's init
//   /cgroup/commands/<n>    one command and all it starts
// Thread rule: one thread.
#pragma once

#include "base/fd.hpp"

#include <cstdint>
#include <string>

namespace pyro::guest {

/// What the inner namespace's init is made with.
struct CgroupTree {
  /// A cgroup namespace whose root is /cgroup/commands: every init joins it.
  base::Fd name_space;
  /// /cgroup/commands/init, for fork_into().
  base::Fd init;
};

/// Mounts the tree and sets the limits.
base::Result<CgroupTree> prepare_cgroups();

struct CgroupUsage {
  bool oom_killed = false;
  std::uint64_t cpu_time_ms = 0;
  std::uint64_t memory_peak_bytes = 0;
};

/// The cgroup of one command. What is left running in it when this is destroyed goes on running.
class CommandCgroup {
 public:
  static base::Result<CommandCgroup> create(std::uint64_t number);
  /// For fork_into().
  [[nodiscard]] int fd() const noexcept { return directory_.get(); }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Whether nobody has removed it: commands may do that to one without processes.
  [[nodiscard]] bool exists() const noexcept;
  /// Ends every process in it, those that fork meanwhile too.
  void kill() const;
  [[nodiscard]] CgroupUsage usage() const;

 private:
  std::string name_;
  base::Fd directory_;
};

/// Removes a command's cgroup and what commands made below it. False while processes live there.
bool remove_command_cgroup(const std::string& name);

}  // namespace pyro::guest
