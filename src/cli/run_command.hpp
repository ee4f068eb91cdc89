// pyro run, pyro task exec, pyro task attach, pyro vm exec
#pragma once

#include "cli/command_line.hpp"
#include "cli/signals.hpp"

namespace pyro::cli {

/// Runs the command and passes its streams through. Gives the program's exit code; throws Error if
/// pyro itself failed, or if signals.fatal() made it stop.
int run_command(const RunArguments& arguments, Signals& signals);

}  // namespace pyro::cli
