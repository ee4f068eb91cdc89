#include "guest/processes.hpp"

#include <cerrno>
#include <csignal>

#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pyro::guest {

base::Result<Child> fork_into(int cgroup, std::uint64_t new_namespaces) {
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD | CLONE_INTO_CGROUP | new_namespaces;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(cgroup);
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0) {
    return base::errno_error(errno, "cannot start a process in the guest");
  }
  Child child;
  child.pid = static_cast<pid_t>(pid);
  if (pid > 0) {
    child.pidfd.reset(pidfd);
  }
  return child;
}

}  // namespace pyro::guest
