#include "jail/attempts.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pyro::jail {

namespace {

int result(long returned) noexcept {
  return returned < 0 ? errno : 0;
}

int open_file(const char* path, int flags) noexcept {
  return result(::syscall(SYS_openat, AT_FDCWD, path, flags, 0600));
}

int open_etc() noexcept {
  return open_file("/etc/passwd", O_RDONLY);
}
int open_proc() noexcept {
  return open_file("/proc/self/maps", O_RDONLY);
}
int open_old() noexcept {
  return result(::syscall(SYS_open, "/etc/passwd", O_RDONLY, 0));
}
int create_file() noexcept {
  const int error = open_file("/tmp", O_RDWR | O_TMPFILE);
  return error == EOPNOTSUPP ? 0 : error;  // a file system without them: nobody forbade it
}
int list_directory() noexcept {
  return open_file("/", O_RDONLY | O_DIRECTORY);
}
int unlink_file() noexcept {
  return result(::syscall(SYS_unlinkat, AT_FDCWD, "/tmp/pyro-no-such-file", 0)) == ENOENT ? 0 : errno;
}
int make_socket() noexcept {
  return result(::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
}
int make_unix_socket() noexcept {
  return result(::syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));
}
int execute() noexcept {
  const std::array<const char*, 2> argv = {"true", nullptr};
  return result(::syscall(SYS_execve, "/bin/true", argv.data(), nullptr));
}
int make_process() noexcept {
  const long pid = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0UL);
  if (pid == 0) {
    ::_exit(0);
  }
  return result(pid);
}
int make_process_anew() noexcept {
  std::array<std::uint64_t, 11> arguments{};
  arguments[4] = SIGCHLD;  // clone_args.exit_signal
  const long pid = ::syscall(SYS_clone3, arguments.data(), sizeof(arguments));
  if (pid == 0) {
    ::_exit(0);
  }
  return result(pid);
}
int trace_parent() noexcept {
  return result(::syscall(SYS_ptrace, PTRACE_SEIZE, ::getppid(), nullptr, nullptr));
}
int signal_parent() noexcept {
  return result(::syscall(SYS_kill, ::getppid(), 0));
}
int signal_parent_thread() noexcept {
  return result(::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0));
}
int signal_all() noexcept {
  // Signal 0 only asks whether it could be done.
  return result(::syscall(SYS_kill, -1, 0));
}
int signal_by_pidfd() noexcept {
  // Standard input is no pidfd: a process that may send signals by one gets EBADF.
  return result(::syscall(SYS_pidfd_send_signal, STDIN_FILENO, SIGKILL, nullptr, 0)) == EBADF ? 0 : errno;
}
int open_pidfd_of_parent() noexcept {
  return result(::syscall(SYS_pidfd_open, ::getppid(), 0));
}
int read_parent_memory() noexcept {
  char byte = 0;
  const std::array<std::uint64_t, 2> local = {reinterpret_cast<std::uint64_t>(&byte), 1};
  const std::array<std::uint64_t, 2> remote = {reinterpret_cast<std::uint64_t>(&open_etc), 1};
  return result(::syscall(SYS_process_vm_readv, ::getppid(), local.data(), 1, remote.data(), 1, 0));
}
int make_memory_executable() noexcept {
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return result(::syscall(SYS_mprotect, page, 4096UL, PROT_READ | PROT_EXEC));
}
int map_executable_memory() noexcept {
  return result(
      ::syscall(SYS_mmap, nullptr, 4096UL, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L));
}
int tag_memory_executable() noexcept {
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return result(::syscall(SYS_pkey_mprotect, page, 4096UL, PROT_READ | PROT_EXEC, -1));
}
int leave_namespaces() noexcept {
  return result(::syscall(SYS_unshare, CLONE_NEWUSER));
}
int mount_something() noexcept {
  return result(::syscall(SYS_mount, "none", "/proc", "tmpfs", 0UL, nullptr));
}
int become_root() noexcept {
  return result(::syscall(SYS_setresuid, 0, 0, 0));
}
int duplicate_descriptor() noexcept {
  return result(::syscall(SYS_dup2, STDIN_FILENO, 77));
}
int make_ring() noexcept {
  return result(::syscall(SYS_io_uring_setup, 1, nullptr)) == EFAULT ? 0 : errno;
}
int load_bpf() noexcept {
  return result(::syscall(SYS_bpf, 0, nullptr, 0)) == EINVAL ? 0 : errno;
}
int handle_faults() noexcept {
  return result(::syscall(SYS_userfaultfd, 0));
}
int add_key() noexcept {
  return result(::syscall(SYS_add_key, "user", "pyro", "x", 1UL, -1));
}
int raise_limit() noexcept {
  const std::array<std::uint64_t, 2> limit = {1, 1};
  return result(::syscall(SYS_prlimit64, 0, 8 /* RLIMIT_MEMLOCK */, limit.data(), nullptr));
}
int become_dumpable() noexcept {
  return result(::syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0));
}
int take_space() noexcept {
  const int error = result(::syscall(SYS_fallocate, STDIN_FILENO, FALLOC_FL_KEEP_SIZE, 0L, 4096L));
  return error == ENODEV || error == EBADF || error == ESPIPE ? 0 : error;
}
int type_into_terminal() noexcept {
  return result(::syscall(SYS_ioctl, STDIN_FILENO, 0x5412 /* TIOCSTI */, "x")) == EPERM ? EPERM : 0;
}

constexpr Attempt kAttempts[] = {
    {"open", open_etc},
    {"open-proc", open_proc},
    {"open-old", open_old},
    {"create-file", create_file},
    {"list-directory", list_directory},
    {"unlink", unlink_file},
    {"socket", make_socket},
    {"unix-socket", make_unix_socket},
    {"execve", execute},
    {"clone", make_process},
    {"clone3", make_process_anew},
    {"ptrace-parent", trace_parent},
    {"kill-parent", signal_parent},
    {"tgkill-parent", signal_parent_thread},
    {"kill-all", signal_all},
    {"pidfd-signal", signal_by_pidfd},
    {"pidfd-open", open_pidfd_of_parent},
    {"read-parent-memory", read_parent_memory},
    {"mprotect-exec", make_memory_executable},
    {"mmap-exec", map_executable_memory},
    {"pkey-mprotect-exec", tag_memory_executable},
    {"unshare", leave_namespaces},
    {"mount", mount_something},
    {"setuid", become_root},
    {"dup", duplicate_descriptor},
    {"io-uring", make_ring},
    {"bpf", load_bpf},
    {"userfaultfd", handle_faults},
    {"add-key", add_key},
    {"prlimit", raise_limit},
    {"dumpable", become_dumpable},
    {"fallocate", take_space},
    {"tiocsti", type_into_terminal},
};

}  // namespace

std::span<const Attempt> attempts() noexcept {
  return kAttempts;
}

const Attempt* find_attempt(std::string_view name) noexcept {
  const auto* found = std::find_if(std::begin(kAttempts), std::end(kAttempts),
                                   [name](const Attempt& attempt) { return attempt.name == name; });
  return found == std::end(kAttempts) ? nullptr : found;
}

}  // namespace pyro::jail
