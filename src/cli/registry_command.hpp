// pyro registry
#pragma once

#include "cli/command_line.hpp"
#include "cli/signals.hpp"

namespace pyro::cli {

int registry_command(const RegistryArguments& arguments, Signals& signals);

}  // namespace pyro::cli
