// pyro top
#pragma once

#include "cli/command_line.hpp"
#include "cli/signals.hpp"

namespace pyro::cli {

/// Shows the VMs that run. Gives the program's exit code.
int top_command(const TopArguments& arguments, Signals& signals);

}  // namespace pyro::cli
