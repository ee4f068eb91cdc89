#include "jail/spawn.hpp"

#include "base/clock.hpp"
#include "jail/argument_pointers.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pyro::jail {

namespace {

// The file actions and attributes of posix_spawn, ended with this object.
class SpawnPlan {
 public:
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }

  /// 0, or the errno of the step that failed.
  int prepare(const std::array<int, 3>& stdio) {
    for (int target = 0; target < 3; ++target) {
      const int source = stdio[static_cast<std::size_t>(target)];
      const int failed = source >= 0 ? ::posix_spawn_file_actions_adddup2(&actions_, source, target)
                                     : ::posix_spawn_file_actions_addopen(&actions_, target, "/dev/null", O_RDWR, 0);
      if (failed != 0) {
        return failed;
      }
    }
    // What the host left open without CLOEXEC is none of the child's business.
    if (const int failed = ::posix_spawn_file_actions_addclosefrom_np(&actions_, 3); failed != 0) {
      return failed;
    }
    if (const int failed = ::posix_spawn_file_actions_addchdir_np(&actions_, "/"); failed != 0) {
      return failed;
    }
    sigset_t all;
    sigset_t none;
    ::sigfillset(&all);
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    return ::posix_spawnattr_setflags(&attributes_,
                                      POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }

  int start(pid_t& pid, const char* program, char* const* argv, char* const* env) {
    return ::posix_spawn(&pid, program, &actions_, &attributes_, argv, env);
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

Process::Process(pid_t pid, base::Fd pidfd) noexcept : pid_(pid), owner_(::getpid()), pidfd_(std::move(pidfd)) {}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      owner_(other.owner_),
      pidfd_(std::move(other.pidfd_)),
      reaped_(other.reaped_),
      exit_code_(other.exit_code_),
      term_signal_(other.term_signal_) {}

Process::~Process() {
  if (pid_ <= 0 || reaped_ || !is_ours()) {
    return;
  }
  if (!wait(kGraceMs)) {
    kill();
    wait(-1);
  }
}

bool Process::is_ours() const noexcept {
  return owner_ == ::getpid();
}

bool Process::wait(int timeout_ms) noexcept {
  if (reaped_ || !pidfd_.valid()) {
    return true;
  }
  // One more: the clock gives whole milliseconds, and a wait is never shorter than it was asked to be.
  const std::int64_t deadline_ms = base::monotonic_ms() + timeout_ms + 1;
  pollfd watched{pidfd_.get(), POLLIN, 0};
  int left_ms = timeout_ms;
  int ready = 0;
  // A signal handler of the host interrupts the wait; what is left of it goes on.
  while ((ready = ::poll(&watched, 1, left_ms)) < 0 && errno == EINTR) {
    if (timeout_ms > 0) {
      left_ms = static_cast<int>(std::max<std::int64_t>(deadline_ms - base::monotonic_ms(), 0));
    }
  }
  if (ready <= 0) {
    return false;
  }
  reap();
  return true;
}

void Process::kill() noexcept {
  if (pidfd_.valid() && !reaped_ && is_ours()) {
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  }
}

void Process::reap() noexcept {
  siginfo_t info{};
  int status = -1;
  do {
    status = ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED);
  } while (status != 0 && errno == EINTR);
  reaped_ = true;
  if (status != 0) {
    return;  // ECHILD: the host reaps everybody's children, or ignores SIGCHLD. It has ended all the same.
  }
  if (info.si_code == CLD_EXITED) {
    exit_code_ = info.si_status;
  } else {
    term_signal_ = info.si_status;
  }
}

std::string Process::describe_end() {
  if (exit_code_.has_value()) {
    return fmt::format("exited with code {}", *exit_code_);
  }
  if (term_signal_.has_value()) {
    return fmt::format("was killed by signal {}", *term_signal_);
  }
  return "ended";
}

base::Result<base::Fd> open_pidfd(pid_t pid) {
  // By number: glibc 2.36 declares its wrappers without extern "C".
  base::Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) {
    return base::errno_error(errno, fmt::format("cannot watch process {} (Linux 5.3 or newer is needed)", pid));
  }
  return fd;
}

base::Result<Process> spawn_process(const SpawnOptions& options) {
  std::array<int, 3> stdio = options.stdio;
  std::array<base::Fd, 3> raised;
  for (std::size_t i = 0; i < stdio.size(); ++i) {
    // In a host without stdin or stdout, ours may have got their numbers; the child's own would overwrite them.
    if (stdio[i] >= 0 && stdio[i] < 3) {
      raised[i].reset(::fcntl(stdio[i], F_DUPFD_CLOEXEC, 3));
      if (!raised[i].valid()) {
        return base::errno_error(errno, "cannot start " + options.program);
      }
      stdio[i] = raised[i].get();
    }
  }
  const auto argv = argument_pointers(options.argv);
  const auto env = argument_pointers(options.env);
  SpawnPlan plan;
  pid_t pid = -1;
  int failed = plan.prepare(stdio);
  if (failed == 0) {
    failed = plan.start(pid, options.program.c_str(), argv.data(), env.data());
  }
  if (failed != 0) {
    return base::errno_error(failed, "cannot start " + options.program);
  }
  // If the host ignores SIGCHLD and the child is gone already, there is nothing left to watch.
  auto pidfd = open_pidfd(pid);
  if (!pidfd.ok() && pidfd.error().sys_errno != ESRCH) {
    ::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return base::errno_error(pidfd.error().sys_errno, "cannot watch " + options.program);
  }
  return Process(pid, pidfd.ok() ? std::move(pidfd).value() : base::Fd());
}

}  // namespace pyro::jail
