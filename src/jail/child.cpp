#include "jail/child.hpp"

#include "base/io.hpp"
#include "jail/argument_pointers.hpp"
#include "jail/landlock.hpp"
#include "jail/privileges.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace pyro::jail {

namespace {

// Steps between fork() and exec(), reported by number over a pipe: nothing there may allocate.
enum Step : int {
  step_parent,
  step_fds,
  step_lock,
  step_limits,
  step_user,
  step_capabilities,
  step_privileges,
  step_exec
};
constexpr std::array<const char*, 8> kStepNames = {
    "tie it to its supervisor",  "hand it its descriptors", "lock its files",           "set its limits",
    "give it a user of its own", "drop its capabilities",   "forbid it new privileges", "execute its program"};

struct StepError {
  int step;
  int sys_errno;
};

bool close_between(int first, int last) noexcept {
  return first > last || ::syscall(SYS_close_range, static_cast<unsigned>(first), static_cast<unsigned>(last), 0U) == 0;
}

bool hold_locks(const std::vector<std::pair<int, off_t>>& files) noexcept {
  return std::all_of(files.begin(), files.end(), [](const auto& file) {
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_CUR;
    lock.l_len = file.second;
    return ::fcntl(file.first, F_SETLK, &lock) == 0;
  });
}

bool limit(__rlimit_resource resource, std::uint64_t value) noexcept {
  return value == 0 || lower_limit(resource, value);
}

// Descriptors move in two steps, first out of the way of every target number, so that a target can
// not overwrite a source that is still needed.
bool place_fds(const std::vector<std::pair<int, int>>& wanted, int* status_pipe, int program,
               int* placed_program) noexcept {
  int highest = 2;
  for (const auto& [source, target] : wanted) {
    highest = std::max(highest, target);
  }
  const int above = highest + 1;
  std::array<int, 64> moved{};
  if (wanted.size() > moved.size()) {
    errno = EINVAL;
    return false;
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    moved[i] = ::fcntl(wanted[i].first, F_DUPFD_CLOEXEC, above);
    if (moved[i] < 0) {
      return false;
    }
  }
  const int status_copy = ::fcntl(*status_pipe, F_DUPFD_CLOEXEC, above);
  *placed_program = ::fcntl(program, F_DUPFD_CLOEXEC, above);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (status_copy < 0 || *placed_program < 0 || null < 0) {
    return false;
  }
  *status_pipe = status_copy;
  for (int standard = 0; standard <= 2; ++standard) {
    if (null != standard && ::dup2(null, standard) < 0) {
      return false;
    }
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (::dup2(moved[i], wanted[i].second) < 0) {
      return false;
    }
  }
  // Nothing else stays, numbers between the targets included: at exec it would be too late, since closing a copy of a
  // file that is locked drops the lock.
  const auto is_target = [&wanted](int fd) {
    return fd <= 2 || std::any_of(wanted.begin(), wanted.end(), [fd](const auto& pair) { return pair.second == fd; });
  };
  for (int fd = 3; fd <= highest; ++fd) {
    if (!is_target(fd)) {
      ::close(fd);
    }
  }
  const auto [low, high] = std::minmax(status_copy, *placed_program);
  return close_between(above, low - 1) && close_between(low + 1, high - 1) && close_between(high + 1, INT_MAX);
}

// Network and System V IPC of its own, empty ones. Best effort: many hosts forbid it to ordinary users.
void leave_network() noexcept {
  ::unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC);
}

[[noreturn]] void run_child(const ChildOptions& options, char* const* argv, char* const* env, pid_t parent,
                            int status_pipe) noexcept {
  const auto fail = [&status_pipe](Step step) {
    const StepError report{step, errno};
    if (::write(status_pipe, &report, sizeof(report)) < 0) {
      ::_exit(126);
    }
    ::_exit(127);
  };
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  int program = -1;
  if (!place_fds(options.fds, &status_pipe, options.program, &program)) {
    fail(step_fds);
  }
  if (!hold_locks(options.locked_fds)) {
    fail(step_lock);
  }
  if (!limit(RLIMIT_AS, options.limits.address_space_bytes) || !limit(RLIMIT_FSIZE, options.limits.file_size_bytes) ||
      !limit(RLIMIT_NOFILE, options.limits.open_files) || !lower_limit(RLIMIT_CORE, 0)) {
    fail(step_limits);
  }
  // A supervisor that left root itself passed its user on; this is for one that could not.
  drop_bounding_set();
  if (!take_private_user(parent)) {
    fail(step_user);
  }
  leave_network();
  // A new user namespace comes with all capabilities, in that namespace.
  drop_bounding_set();
  if (!drop_all_capabilities()) {
    fail(step_capabilities);
  }
  // After the change of user, which clears it. If the parent died before this line, nobody will tell us.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || ::getppid() != parent) {
    fail(step_parent);
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    fail(step_privileges);
  }
  restrict_file_access(options.readable_paths, options.readable_fds);
  ::syscall(SYS_execveat, program, "", argv, env, AT_EMPTY_PATH);
  fail(step_exec);
  ::_exit(127);
}

}  // namespace

// By pidfd, here and below: the filter of a confined supervisor allows nothing else.
Child::~Child() {
  if (pid_ <= 0) {
    return;
  }
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  // By poll() first: an event loop that shares the pidfd has made it non-blocking, and waitid() obeys that.
  pollfd end{pidfd_.get(), POLLIN, 0};
  while (::poll(&end, 1, -1) < 0 && errno == EINTR) {
  }
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) < 0 && errno == EINTR) {
  }
}

std::int64_t Child::cpu_time_ms() const noexcept {
  clockid_t clock{};
  timespec used{};
  if (pid_ <= 0 || ::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &used) != 0) {
    return -1;
  }
  return static_cast<std::int64_t>(used.tv_sec) * 1000 + used.tv_nsec / 1'000'000;
}

std::string Child::describe_end() {
  siginfo_t info{};
  int status = -1;
  do {
    status = ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG);
  } while (status < 0 && errno == EINTR);
  if (status != 0 || info.si_pid != pid_) {
    return "has not ended";
  }
  pid_ = -1;
  if (info.si_code == CLD_EXITED) {
    return fmt::format("exited with code {}", info.si_status);
  }
  return fmt::format("was killed by signal {}", info.si_status);
}

base::Result<Child> start_child(const ChildOptions& options) {
  PYRO_TRY_ASSIGN(base::FdPair status, base::make_pipe());
  const auto argv = argument_pointers(options.argv);
  const auto env = argument_pointers(options.env);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return base::errno_error(errno, "cannot start " + options.argv.front());
  }
  if (pid == 0) {
    run_child(options, argv.data(), env.data(), parent, status.second.get());
  }
  base::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.valid()) {
    const int reason = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return base::errno_error(reason, "cannot watch " + options.argv.front());
  }
  Child child(pid, std::move(pidfd));
  status.second.reset();
  StepError report{};
  PYRO_TRY_ASSIGN(const std::string bytes, base::read_all(status.first.get(), sizeof(report), "the state of a child"));
  if (bytes.size() == sizeof(report)) {
    std::memcpy(&report, bytes.data(), sizeof(report));
    const auto step = std::min<std::size_t>(static_cast<std::size_t>(report.step), kStepNames.size() - 1);
    return base::errno_error(report.sys_errno,
                             fmt::format("cannot start {}: cannot {}", options.argv.front(), kStepNames[step]));
  }
  return child;
}

}  // namespace pyro::jail
