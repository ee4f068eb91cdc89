// What a supervisor that a guest owns would try. Used to prove that it fails: by the unit tests, and in the
// real program by `pyro-vm --jail-test`.
// Thread rule: a process makes one attempt and ends; most of them end it.
#pragma once

#include "jail/seccomp.hpp"

#include <span>
#include <string_view>

namespace pyro::jail {

struct Attempt {
  std::string_view name;
  /// Makes the attempt: 0 if it succeeded, else errno. Bare system calls.
  int (*make)() noexcept;
};

/// All of them.
std::span<const Attempt> attempts() noexcept;
/// The attempt of that name, or nullptr.
const Attempt* find_attempt(std::string_view name) noexcept;

}  // namespace pyro::jail
