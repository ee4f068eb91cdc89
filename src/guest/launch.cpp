#include "guest/launch.hpp"

#include "base/io.hpp"
#include "base/text.hpp"
#include "guest/boot.hpp"
#include "guest/file_tool.hpp"

#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

namespace pyro::guest {

using base::Result;
using wire::ExecFailure;

namespace {

// A name as an error message quotes it.
constexpr std::size_t kMaxShownBytes = 200;

// Operations on files are much code with memory of its own.
Result<Child> fork_file_tool(ChildPlan& plan, int cgroup, const InnerNamespace& inner) {
  PYRO_TRY_ASSIGN(const auto request, wire::FileRequest::decode(plan.exec().file_request));
  const base::Fd extra = open_for_file_tool(request);
  auto child = inner.fork_command(cgroup);
  if (child.ok() && child->is_me()) {
    plan.enter(extra.get());
    // As if something was executed: the report ends without a word.
    ::close(kReportFd);
    run_file_tool(request);
  }
  return child;
}

std::string_view what_failed(ChildStep step) {
  switch (step) {
    case ChildStep::streams:
      return "cannot set up the standard streams";
    case ChildStep::terminal:
      return "cannot take the pseudo terminal";
    case ChildStep::namespaces:
      return "cannot enter the commands' namespaces";
    default:
      return "cannot become the user";
  }
}

LaunchFailure failure_of(const ChildReport& report, const wire::Exec& exec) {
  const auto other = [](base::Error error) { return LaunchFailure{ExecFailure::other, error.code, error.message}; };
  const auto shown = [](std::string_view name) { return base::printable(name, kMaxShownBytes); };
  switch (report.step) {
    case ChildStep::program:
    case ChildStep::interpreter: {
      const ExecFailure failure = exec_failure(report.sys_errno);
      const std::string why = report.step == ChildStep::interpreter ? "the interpreter that it names does not exist"
                              : failure == ExecFailure::not_found   ? "not found"
                                                                    : base::errno_text(report.sys_errno);
      return {failure, PYRO_OK, fmt::format("cannot run \"{}\": {}", shown(exec.argv[0]), why)};
    }
    case ChildStep::directory:
      return other(base::make_error(PYRO_ERROR_INVALID, "cannot enter the working directory \"{}\": {}",
                                    shown(exec.cwd), base::errno_text(report.sys_errno)));
    case ChildStep::user_name:
      return other(base::make_error(
          PYRO_ERROR_NOT_FOUND, "the environment has no user \"{}\" in /etc/passwd; name one that it has, or a number",
          shown(account_names(exec.user).user)));
    case ChildStep::group_name:
      return other(base::make_error(PYRO_ERROR_NOT_FOUND, "the environment has no group \"{}\" in /etc/group",
                                    shown(account_names(exec.user).group.value_or(""))));
    default:
      return other(base::errno_error(report.sys_errno, std::string(what_failed(report.step))));
  }
}

}  // namespace

Result<Launched> launch(wire::Exec exec, const Stdio& stdio, const CommandCgroup& cgroup, const InnerNamespace& inner) {
  PYRO_TRY_ASSIGN(base::FdPair report, base::make_pipe());
  PYRO_TRY(base::set_nonblocking(report.first.get()));
  Launched launched;
  launched.plan = std::make_unique<ChildPlan>(std::move(exec), stdio, report.second.get(), inner.pidfd());
  ChildPlan& plan = *launched.plan;
  PYRO_TRY_ASSIGN(launched.child, plan.exec().file_request.empty()
                                      ? inner.spawn_command(cgroup.fd(), plan.stack(), &ChildPlan::run, &plan)
                                      : fork_file_tool(plan, cgroup.fd(), inner));
  launched.report = std::move(report.first);
  return launched;
}

std::optional<LaunchFailure> read_report(const Launched& launched) {
  ChildReport report;
  const ssize_t got = ::read(launched.report.get(), &report, sizeof report);
  if (got < 0) {
    return std::nullopt;
  }
  return got == sizeof report ? failure_of(report, launched.plan->exec()) : LaunchFailure{};
}

}  // namespace pyro::guest
