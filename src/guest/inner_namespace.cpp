#include "guest/inner_namespace.hpp"

#include "base/io.hpp"
#include "guest/files.hpp"
#include "guest/inner_root.hpp"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pyro::guest {

using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kNamespaces = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
constexpr std::size_t kMaxReportBytes = 4096;
constexpr std::string_view kMade = "made";

Status set_up(const CgroupTree& cgroups) {
  if (::setns(cgroups.name_space.get(), CLONE_NEWCGROUP) != 0) {
    return base::errno_error(errno, "cannot enter the commands' cgroup namespace");
  }
  return enter_inner_root();
}

[[noreturn]] void run_init(const CgroupTree& cgroups, int report) {
  ::prctl(PR_SET_NAME, "init");
  // The kernel reaps what is left to an init that ignores its children.
  ::signal(SIGCHLD, SIG_IGN);
  // All commands end with it.
  (void)write_file("/proc/self/oom_score_adj", "-1000");
  const Status status = set_up(cgroups);
  const std::string text = status.ok() ? std::string(kMade) : status.error().message;
  (void)base::write_all(report, base::as_bytes(text), "the report");
  if (!status.ok()) {
    ::_exit(1);
  }
  ::close_range(0, ~0U, 0);
  while (true) {
    ::pause();
  }
}

}  // namespace

Result<InnerNamespace> InnerNamespace::create(const CgroupTree& cgroups) {
  InnerNamespace inner;
  PYRO_TRY_ASSIGN(inner.own_pid_namespace_, base::open_file("/proc/self/ns/pid", O_RDONLY));
  PYRO_TRY_ASSIGN(base::FdPair report, base::make_pipe());
  PYRO_TRY_ASSIGN(inner.init_, fork_into(cgroups.init.get(), kNamespaces));
  if (inner.init_.is_me()) {
    run_init(cgroups, report.second.get());
  }
  report.second.reset();
  PYRO_TRY_ASSIGN(const std::string text, base::read_all(report.first.get(), kMaxReportBytes, "the init's report"));
  if (text != kMade) {
    ::waitpid(inner.init_.pid, nullptr, 0);
    return base::make_error(PYRO_ERROR_BOOT, "cannot make the commands' namespace: {}",
                            text.empty() ? "its init died" : text);
  }
  return inner;
}

wire::GuestResetKind InnerNamespace::reap() {
  int status = 0;
  ::waitpid(init_.pid, &status, 0);
  // pid_namespaces(7): reboot(2) in there ends init with SIGHUP for a restart, SIGINT for power-off and halt.
  const bool power_off = WIFSIGNALED(status) && WTERMSIG(status) == SIGINT;
  return power_off ? wire::GuestResetKind::power_off : wire::GuestResetKind::reboot;
}

void InnerNamespace::kill() const noexcept {
  ::kill(init_.pid, SIGKILL);
}

template <typename Start>
Result<Child> InnerNamespace::start_below(Start start) const {
  if (::setns(pidfd(), CLONE_NEWPID) != 0) {
    return base::make_error(PYRO_ERROR_STATE, "the guest is being reset by a command");
  }
  auto child = start();
  if (!child.ok() || !child->is_me()) {
    // Never fails: the agent's own namespace. Without it the next init would be made inside this one.
    ::setns(own_pid_namespace_.get(), CLONE_NEWPID);
  }
  return child;
}

Result<Child> InnerNamespace::spawn_command(int cgroup, std::span<std::byte> stack, ChildBody body,
                                            void* argument) const {
  return start_below([&] { return spawn_into(cgroup, stack, body, argument); });
}

Result<Child> InnerNamespace::fork_command(int cgroup) const {
  return start_below([&] { return fork_into(cgroup, 0); });
}

}  // namespace pyro::guest
