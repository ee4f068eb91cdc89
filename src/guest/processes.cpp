#include "guest/processes.hpp"

#include <cerrno>
#include <csignal>

#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pyro::guest {

namespace {

clone_args arguments_for(int cgroup, std::uint64_t flags, int& pidfd) {
  clone_args args{};
  args.flags = CLONE_PIDFD | CLONE_INTO_CGROUP | flags;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(cgroup);
  return args;
}

// The library has no clone3() that begins on another stack. The child finds its registers as they were, calls `body`
// there, and has nowhere to return to.
long clone_onto_stack(const clone_args& args, ChildBody body, void* argument) {
  long result = SYS_clone3;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%rdx, %%rdi\n\t"
      "call *%%rbx\n\t"
      "ud2\n"
      "1:"
      : "+a"(result)
      : "D"(&args), "S"(sizeof args), "b"(body), "d"(argument)
      : "rcx", "r11", "memory", "cc");
  return result;
}

base::Result<Child> child_of(long pid, int pidfd) {
  if (pid < 0) {
    return base::errno_error(static_cast<int>(-pid), "cannot start a process in the guest");
  }
  Child child;
  child.pid = static_cast<pid_t>(pid);
  if (pid > 0) {
    child.pidfd.reset(pidfd);
  }
  return child;
}

}  // namespace

base::Result<Child> fork_into(int cgroup, std::uint64_t new_namespaces) {
  int pidfd = -1;
  const clone_args args = arguments_for(cgroup, new_namespaces, pidfd);
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  return child_of(pid < 0 ? -errno : pid, pidfd);
}

base::Result<Child> spawn_into(int cgroup, std::span<std::byte> stack, ChildBody body, void* argument) {
  int pidfd = -1;
  clone_args args = arguments_for(cgroup, CLONE_VM, pidfd);
  args.stack = reinterpret_cast<std::uint64_t>(stack.data());
  args.stack_size = stack.size() & ~std::size_t{15};
  const long pid = clone_onto_stack(args, body, argument);
  return child_of(pid, pidfd);
}

}  // namespace pyro::guest
