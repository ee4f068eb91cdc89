// The table behind the system call filters. Only the generator calls syscall_rules(): the table is not in pyro-vm.
#pragma once

#include "jail/seccomp.hpp"

#include <cstdint>
#include <vector>

namespace pyro::jail {

/// What an argument has to satisfy: (argument & mask) == value.
struct ArgumentRule {
  unsigned argument;
  std::uint64_t mask;
  std::uint64_t value;
};

/// One permission. A system call with several rows is allowed if one of them applies.
struct SyscallRule {
  const char* syscall;
  /// Bit 1 << kind for every ThreadKind that has it.
  unsigned kinds;
  std::vector<ArgumentRule> arguments;
  const char* reason;
};

/// The table; with the rows that sanitizers need if `sanitized`.
std::vector<SyscallRule> syscall_rules(bool sanitized);

// Values known only when a filter is installed: it replaces these, and refuses a filter without them.
inline constexpr std::uint32_t kOwnProcessPlaceholder = 0x7079726f;
inline constexpr std::uint32_t kEnginePidfdPlaceholder = 0x70797270;

}  // namespace pyro::jail
