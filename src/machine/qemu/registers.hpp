// Reads QEMU's "info registers -a" (x86).
#pragma once

#include <string_view>

namespace pyro::machine {

/// True if `registers` shows at least one vCPU and every one of them is halted with RFLAGS.IF clear:
/// nothing but a reset can wake such a guest.
bool all_halted_without_interrupts(std::string_view registers);

}  // namespace pyro::machine
