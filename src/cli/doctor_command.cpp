#include "cli/doctor_command.hpp"

#include "cli/progress.hpp"
#include "cli/wait.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

constexpr int kExitUnhealthy = 1;

const char* name_of(CheckStatus status) {
  switch (status) {
    case CheckStatus::ok:
      return "ok";
    case CheckStatus::warning:
      return "warning";
    case CheckStatus::failed:
      return "FAILED";
  }
  return "?";
}

std::string table(const DoctorReport& report) {
  std::size_t width = 0;
  for (const Check& check : report.checks) {
    width = std::max(width, check.name.size());
  }
  std::string text = fmt::format("pyro {}", version());
  for (const Check& check : report.checks) {
    text += fmt::format("\n  {:<7}  {:<{}}  {}", name_of(check.status), check.name, width, printable(check.message));
    if (!check.remedy.empty()) {
      text += fmt::format("\n  {:<7}  {:<{}}  -> {}", "", "", width, printable(check.remedy));
    }
  }
  text += report.healthy ? "\nThis host can run microVMs." : "\nThis host cannot run microVMs yet: see FAILED above.";
  return text;
}

}  // namespace

int doctor_command(const DoctorArguments& arguments, Signals& signals) {
  const Pyro pyro = open_pyro(arguments.common);
  ProgressDisplay progress(arguments.common.quiet || arguments.common.json);
  const DoctorReport report = wait_for(pyro.start_doctor(), signals, progress);
  say_log(pyro, arguments.common);
  if (const int exit_code = print(arguments.common.json ? report.json : table(report))) {
    return exit_code;
  }
  return report.healthy ? 0 : kExitUnhealthy;
}

}  // namespace pyro::cli
