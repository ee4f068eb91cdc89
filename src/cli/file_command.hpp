// pyro task cp, ls, cat, stat, mkdir, rm, write, diff, export
#pragma once

#include "cli/command_line.hpp"
#include "cli/signals.hpp"

namespace pyro::cli {

/// Gives the exit code.
int file_command(const FileArguments& arguments, Signals& signals);

}  // namespace pyro::cli
