// pyro env
#pragma once

#include "cli/command_line.hpp"
#include "cli/signals.hpp"

namespace pyro::cli {

/// Gives the program's exit code; throws Error if it failed, or if signals.fatal() made it stop.
int env_command(const EnvArguments& arguments, Signals& signals);

}  // namespace pyro::cli
