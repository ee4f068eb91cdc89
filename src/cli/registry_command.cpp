#include "cli/registry_command.hpp"

#include "cli/progress.hpp"
#include "cli/wait.hpp"

#include <fmt/format.h>

namespace pyro::cli {

int registry_command(const RegistryArguments& arguments, Signals& signals) {
  const Pyro pyro = open_pyro(arguments.common);
  ProgressDisplay progress(arguments.common.quiet || arguments.common.json);
  const TaskList list = wait_for(pyro.start_rebuild_registry(), signals, progress);
  say_log(pyro, arguments.common);
  return print(arguments.common.json ? list.json : fmt::format("{} tasks and VMs", list.tasks.size()));
}

}  // namespace pyro::cli
