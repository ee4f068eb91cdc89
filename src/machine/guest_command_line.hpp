// The guest kernel's command line, by engine.
#pragma once

#include <cstdint>
#include <string>

namespace pyro::machine {

/// For the software engine, with the TSC frequency that measure_tsc_khz() found.
std::string qemu_command_line(std::uint64_t tsc_khz);
/// For the kvm engine.
std::string kvm_command_line();

}  // namespace pyro::machine
