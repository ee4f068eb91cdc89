// pyro doctor
#pragma once

#include "cli/command_line.hpp"
#include "cli/signals.hpp"

namespace pyro::cli {

/// Gives 0 if nothing is broken, else 1; throws Error if the check itself failed.
int doctor_command(const DoctorArguments& arguments, Signals& signals);

}  // namespace pyro::cli
