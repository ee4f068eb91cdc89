#include "image/worker.hpp"

#include "base/io.hpp"
#include "image/id_map.hpp"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pyro::image {

namespace {

constexpr int kSetupFailed = 120;

/// Why the kernel refused the namespaces, and what to do.
base::Error explain_refusal(int sys_errno, bool as_root) {
  const char* remedy = "the host or container forbids namespaces (CAP_SYS_ADMIN is missing)";
  if (!as_root) {
    const auto limit = base::read_file("/proc/sys/user/max_user_namespaces", 64);
    const auto clone = base::read_file("/proc/sys/kernel/unprivileged_userns_clone", 64);
    if (clone.ok() && clone.value().starts_with("0")) {
      remedy = "user namespaces are off for users: run as root: sysctl kernel.unprivileged_userns_clone=1";
    } else if (sys_errno == ENOSPC || (limit.ok() && limit.value().starts_with("0"))) {
      remedy = "user namespaces are used up or off: run as root: sysctl user.max_user_namespaces=16384";
    } else {
      remedy = "the host or container forbids user namespaces: build as root, or import an exported environment";
    }
  }
  return base::make_error(PYRO_ERROR_UNSUPPORTED, "cannot make namespaces for the build: {}; {}",
                          base::errno_text(sys_errno), remedy);
}

/// Makes the child's view of mounts and processes its own. Mounts that it makes do not spread.
bool enter_namespaces(bool user_namespace) {
  if (user_namespace && ::setgroups(0, nullptr) != 0) {
    return false;
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    return false;
  }
  // /proc of the new PID namespace. Where the host masks parts of /proc the kernel refuses; then the tools see the
  // outer one, which only costs them some warnings.
  (void)::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  return true;
}

[[noreturn]] void run_worker(Isolation isolation, bool user_namespace, int go, const std::function<int()>& body) {
  // Before anything else, so that from here on the parent's death is noticed either by the signal or by the pipe.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  char word = 0;
  ssize_t got = -1;
  do {
    got = ::read(go, &word, 1);
  } while (got < 0 && errno == EINTR);
  ::close(go);
  if (got != 1 || (isolation == Isolation::namespaces && !enter_namespaces(user_namespace))) {
    ::_exit(kSetupFailed);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // File modes in images are what the packages say, not what the caller's umask leaves of them.
  ::umask(022);
  // stdin belongs to the parent, which waits there for the client's end.
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0) {
    ::_exit(kSetupFailed);
  }
  ::_exit(body());
}

}  // namespace

base::Result<Worker> start_worker(Isolation isolation, const std::function<int()>& body) {
  const bool as_root = ::geteuid() == 0;
  const bool user_namespace = isolation == Isolation::namespaces && !as_root;
  if (user_namespace) {
    PYRO_TRY(check_id_mapping());
  }
  PYRO_TRY_ASSIGN(base::FdPair go, base::make_pipe());
  unsigned long flags = SIGCHLD;
  if (isolation == Isolation::namespaces) {
    flags |= CLONE_NEWPID | CLONE_NEWNS | (user_namespace ? CLONE_NEWUSER : 0UL);
  }
  // Like fork(): no new stack. The process has one thread, so skipping the C library's fork handlers harms nothing.
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr));
  if (pid < 0) {
    return explain_refusal(errno, as_root);
  }
  if (pid == 0) {
    go.second.reset();
    run_worker(isolation, user_namespace, go.first.release(), body);
  }
  Worker worker;
  worker.pid = pid;
  worker.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  base::Status ready = worker.pidfd.valid() ? base::success() : base::errno_error(errno, "cannot watch a process");
  if (ready.ok() && user_namespace) {
    ready = map_ids(pid);
  }
  if (ready.ok()) {
    ready = base::write_all(go.second.get(), base::as_bytes("g"), "to a pipe");
  }
  if (!ready.ok()) {
    end_worker(worker);
    return std::move(ready).error();
  }
  return worker;
}

int end_worker(const Worker& worker) {
  int status = 0;
  pid_t ended = 0;
  ::kill(worker.pid, SIGKILL);
  do {
    ended = ::waitpid(worker.pid, &status, 0);
  } while (ended < 0 && errno == EINTR);
  return status;
}

}  // namespace pyro::image
