#include "guest/child_plan.hpp"

#include "guest/boot.hpp"
#include "guest/file_tool.hpp"
#include "guest/inner_namespace.hpp"
#include "guest/system_call.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace pyro::guest {

namespace {

constexpr rlim_t kOpenFilesSoft = 1024;
constexpr rlim_t kOpenFilesHard = 1024 * 1024;
// Accounts of a guest are few; what is beyond this is not looked at.
constexpr std::size_t kMaxAccountsBytes = 1024 * 1024;

std::vector<char*> pointers(std::vector<std::string>& texts, std::size_t free_before) {
  std::vector<char*> out(free_before, nullptr);
  out.reserve(free_before + texts.size() + 1);
  for (auto& text : texts) {
    out.push_back(text.data());
  }
  out.push_back(nullptr);
  return out;
}

// ---- from here on: in the child

[[noreturn]] void give_up(ChildStep step, long failed) noexcept {
  const ChildReport report{step, static_cast<std::int32_t>(-failed)};
  system_call(SYS_write, kReportFd, &report, sizeof report);
  while (true) {
    system_call(SYS_exit_group, 1);
  }
}

long require(ChildStep step, long result) noexcept {
  if (result < 0) {
    give_up(step, result);
  }
  return result;
}

void reset_process_state() noexcept {
  // As the kernel has it: handler, flags, restorer, mask. SIGPIPE is the only signal that the agent ignores.
  constexpr unsigned long kDefault[4] = {};
  system_call(SYS_rt_sigaction, SIGPIPE, kDefault, nullptr, sizeof kDefault[3]);
  constexpr unsigned long kNone = 0;
  system_call(SYS_rt_sigprocmask, SIG_SETMASK, &kNone, nullptr, sizeof kNone);
  system_call(SYS_umask, 022);
  const rlimit files{kOpenFilesSoft, kOpenFilesHard};
  const rlimit core{0, RLIM_INFINITY};
  system_call(SYS_prlimit64, 0, RLIMIT_NOFILE, &files, nullptr);
  system_call(SYS_prlimit64, 0, RLIMIT_CORE, &core, nullptr);
}

// Of a regular file; nothing of any other, which may be without end or have to be waited for.
template <typename Visit>
void for_each_line(const char* path, std::span<char> buffer, Visit visit) noexcept {
  const long fd = system_call(SYS_open, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || system_call(SYS_fstat, fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    system_call(SYS_close, fd);
    return;
  }
  std::size_t held = 0;
  std::size_t total = 0;
  bool too_long = false;
  while (total < kMaxAccountsBytes) {
    const long got = system_call(SYS_read, fd, buffer.data() + held, buffer.size() - held);
    if (got <= 0) {
      break;
    }
    total += static_cast<std::size_t>(got);
    held += static_cast<std::size_t>(got);
    std::string_view text(buffer.data(), held);
    for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
      if (!std::exchange(too_long, false)) {
        visit(text.substr(0, end));
      }
      text.remove_prefix(end + 1);
    }
    if (text.size() == buffer.size()) {
      too_long = true;
      text = {};
    }
    std::copy(text.begin(), text.end(), buffer.begin());
    held = text.size();
  }
  if (held > 0 && !too_long) {
    visit(std::string_view(buffer.data(), held));
  }
  system_call(SYS_close, fd);
}

}  // namespace

ChildPlan::ChildPlan(wire::Exec exec, const Stdio& stdio, int report, int inner)
    : exec_(std::move(exec)),
      environment_(command_environment(exec_)),
      argv_(pointers(exec_.argv, 1)),
      environment_pointers_(pointers(environment_, 0)),
      in_(stdio.in.get()),
      out_(stdio.out.get()),
      err_(stdio.err.get()),
      report_(report),
      inner_(inner),
      terminal_(stdio.terminal.get()) {
  if (exec_.cwd.empty()) {
    exec_.cwd = "/workspace";
  }
  for (std::size_t i = 0; i < std::size(kAccountVariables); ++i) {
    if (environment_[i] == kAccountVariables[i]) {
      environment_pointers_[i] = account_variables_[i].data();
    }
  }
  struct stat info {};
  if (exec_.pty && ::fstat(terminal_, &info) == 0) {
    terminal_path_ = fmt::format("/dev/pts/{}", minor(info.st_rdev));
    terminal_device_ = info.st_dev;
    terminal_inode_ = info.st_ino;
  }
}

void ChildPlan::run(void* plan) noexcept {
  auto& self = *static_cast<ChildPlan*>(plan);
  self.enter(-1);
  self.execute();
}

void ChildPlan::enter(int extra) noexcept {
  system_call(SYS_dup3, report_, kReportFd, O_CLOEXEC);
  require(ChildStep::namespaces, system_call(SYS_setns, inner_, InnerNamespace::kRest));
  system_call(SYS_setsid);
  place_descriptors(extra);
  reset_process_state();
  become_user();
  require(ChildStep::directory, system_call(SYS_chdir, exec_.cwd.c_str()));
}

// Standard streams in place, the report next to them, then `extra`, and nothing else of the agent's.
void ChildPlan::place_descriptors(int extra) const noexcept {
  const int terminal = exec_.pty ? adopt_terminal() : -1;
  require(ChildStep::streams, system_call(SYS_dup2, exec_.pty ? terminal : in_, 0));
  require(ChildStep::streams, system_call(SYS_dup2, exec_.pty ? terminal : out_, 1));
  require(ChildStep::streams, system_call(SYS_dup2, exec_.pty ? terminal : err_, 2));
  if (extra >= 0) {
    require(ChildStep::streams, system_call(SYS_dup2, extra, kFileToolFd));
  }
  const int next = extra >= 0 ? kFileToolFd + 1 : kReportFd + 1;
  require(ChildStep::streams, system_call(SYS_close_range, next, ~0U, 0));
}

// Opened by the name that it has in here, so that ttyname(3) finds it; else the one that the agent has opened.
int ChildPlan::adopt_terminal() const noexcept {
  struct stat found {};
  long fd = system_call(SYS_open, terminal_path_.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0 && system_call(SYS_fstat, fd, &found) == 0 && found.st_dev == terminal_device_ &&
      found.st_ino == terminal_inode_) {
    system_call(SYS_fcntl, fd, F_SETFL, O_RDWR);
  } else {
    fd = require(ChildStep::terminal, system_call(SYS_fcntl, terminal_, F_DUPFD_CLOEXEC, kReportFd + 1));
  }
  require(ChildStep::terminal, system_call(SYS_ioctl, fd, TIOCSCTTY, 0));
  return static_cast<int>(fd);
}

void ChildPlan::become_user() noexcept {
  find_account();
  if (exec_.pty) {
    system_call(SYS_fchown, 0, account_.uid, -1);
  }
  require(ChildStep::user, system_call(SYS_setgroups, account_.group_count, account_.groups.data()));
  require(ChildStep::user, system_call(SYS_setgid, account_.gid));
  require(ChildStep::user, system_call(SYS_setuid, account_.uid));
}

// From the files that the command would see.
void ChildPlan::find_account() noexcept {
  AccountLookup lookup(exec_.user, account_);
  for_each_line("/etc/passwd", read_buffer_, [&](std::string_view line) { lookup.passwd_line(line); });
  require(ChildStep::user_name, lookup.end_passwd() ? 0 : -ENOENT);
  for_each_line("/etc/group", read_buffer_, [&](std::string_view line) { lookup.group_line(line); });
  require(ChildStep::group_name, lookup.end_group() ? 0 : -ENOENT);
  const std::string_view values[] = {account_.home.view(), account_.name.view(), account_.name.view(),
                                     account_.shell.view()};
  for (std::size_t i = 0; i < account_variables_.size(); ++i) {
    account_variables_[i].assign(kAccountVariables[i]);
    account_variables_[i].append("=");
    account_variables_[i].append(values[i]);
  }
}

void ChildPlan::execute() noexcept {
  constexpr const char* kShell = "/bin/sh";
  long why = -ENOENT;
  ChildStep step = ChildStep::program;
  ProgramSearch search(exec_.argv[0], environment_value(environment_, "PATH"));
  while (true) {
    const auto next = search.next(file_);
    if (next == ProgramSearch::Next::none) {
      break;
    }
    // Asking first is cheaper than a failed execve(), and tells a program without its interpreter from none.
    long failed = next == ProgramSearch::Next::too_long ? -ENAMETOOLONG : system_call(SYS_access, file_.data(), F_OK);
    if (failed == 0) {
      failed = system_call(SYS_execve, file_.data(), &argv_[1], environment_pointers_.data());
      if (failed == -ENOEXEC) {
        // A script without "#!": for the shell, as execvp(3) has it.
        argv_[0] = const_cast<char*>(kShell);
        argv_[1] = file_.data();
        system_call(SYS_execve, kShell, argv_.data(), environment_pointers_.data());
      }
      if (failed == -ENOENT) {
        step = ChildStep::interpreter;
      }
    }
    const bool goes_on = search_goes_on(static_cast<int>(-failed));
    // A program that was found but may not be run says more than one that is not in the next directory.
    if (why == -ENOENT || failed == -EACCES || !goes_on) {
      why = failed;
    }
    if (!goes_on) {
      break;
    }
  }
  give_up(why == -ENOENT ? step : ChildStep::program, why);
}

}  // namespace pyro::guest
