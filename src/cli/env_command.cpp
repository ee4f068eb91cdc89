#include "cli/env_command.hpp"

#include "cli/progress.hpp"
#include "cli/wait.hpp"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

EnvironmentOperation start(const Pyro& pyro, const EnvArguments& arguments) {
  switch (arguments.action) {
    case EnvAction::list:
      return pyro.start_list_environments();
    case EnvAction::build:
      return pyro.start_build_environment(arguments.name, {.force = arguments.force});
    case EnvAction::inspect:
      return pyro.start_inspect_environment(arguments.name, {.verify = arguments.verify});
    case EnvAction::import_environment:
      return pyro.start_import_environment(arguments.name, arguments.path);
    case EnvAction::export_environment:
      return pyro.start_export_environment(arguments.name, arguments.path);
    case EnvAction::prune:
      return pyro.start_prune_environments({.name = arguments.name, .all = arguments.all});
    case EnvAction::pull:
      return pyro.start_pull_environment(arguments.name);
  }
  throw Error(ErrorCode::internal, "pyro env: an action without a meaning");
}

std::string image_size_text(std::uint64_t bytes) {
  return bytes == 0 ? "-" : fmt::format("{:.0f} MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
}

std::string date_text(std::chrono::sys_seconds when) {
  const std::time_t seconds = when.time_since_epoch().count();
  std::tm parts{};
  if (seconds == 0 || ::gmtime_r(&seconds, &parts) == nullptr) {
    return "-";
  }
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

std::string table(const EnvironmentList& list) {
  std::size_t width = 4;
  for (const Environment& environment : list.environments) {
    width = std::max(width, environment.name.size());
  }
  std::string text = fmt::format("{:<{}}  {:<9}  {:>9}  {:<10}  {}", "NAME", width, "STATE", "SIZE", "SINCE", "WHAT");
  for (const Environment& environment : list.environments) {
    text += fmt::format("\n{:<{}}  {:<9}  {:>9}  {:<10}  {}", environment.name, width,
                        environment.available ? "ready" : "buildable", image_size_text(environment.size_bytes),
                        date_text(environment.created_at), environment.description);
  }
  return text;
}

std::string summary(const EnvironmentList& list) {
  std::string text;
  for (const Environment& environment : list.environments) {
    text += fmt::format("{}{}  {}  {}", text.empty() ? "" : "\n", environment.name,
                        image_size_text(environment.size_bytes), environment.digest);
  }
  return text;
}

}  // namespace

int env_command(const EnvArguments& arguments, Signals& signals) {
  const Pyro pyro = open_pyro(arguments.common);
  ProgressDisplay progress(arguments.common.quiet || arguments.common.json);
  const EnvironmentList list = wait_for(start(pyro, arguments), signals, progress);
  say_log(pyro, arguments.common);
  // A manifest is JSON anyway: inspect has no other form.
  if (arguments.common.json || arguments.action == EnvAction::inspect) {
    return print(list.json);
  }
  if (arguments.action == EnvAction::list) {
    return print(table(list));
  }
  const std::string text = summary(list);
  return text.empty() ? 0 : print(text);
}

}  // namespace pyro::cli
