// A kernel module's file, as the agent hands it to the kernel. Pure code: no I/O. Thread rule: one thread.
#pragma once

#include <cstddef>
#include <span>

namespace pyro::guest {

/// Takes out of a module (ELF, x86-64) what is there for tracing its functions: the list of the calls of __fentry__, and the
/// calls, which become the no-operations that the kernel would make of them. Looking up what is in that list is more than
/// half of the work of loading a module, and without tracefs (machine/guest_command_line.cpp) nearly nobody could use it.
/// Gives how many calls there were; 0, and nothing is changed, if the file is anything else or not as it should be.
std::size_t remove_trace_calls(std::span<std::byte> module) noexcept;

/// Takes the tables for unwinding the stack out of a module (ELF, x86-64). The kernel sorts them while it loads one, a third
/// of what is left of that work; without them it marks the callers of a module's functions in its own messages as
/// guesses. Gives whether they were there; if not, or if the file is anything else, nothing is changed.
bool remove_unwind_tables(std::span<std::byte> module) noexcept;

}  // namespace pyro::guest
