// pyro task, except exec
#pragma once

#include "cli/command_line.hpp"
#include "cli/signals.hpp"

namespace pyro::cli {

/// Does what was asked for. Gives the program's exit code; throws Error if pyro itself failed.
int task_command(const TaskArguments& arguments, Signals& signals);

}  // namespace pyro::cli
