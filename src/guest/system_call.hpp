// System calls for code that shares its memory with the running agent (processes.hpp, spawn_into): the library's
// functions keep their errno where the agent's thread keeps its own.
// Thread rule: functions without state.
#pragma once

#if !defined(__x86_64__)
#error "the agent is written for x86-64"
#endif

namespace pyro::guest {

namespace detail {

// Source: the System V ABI for x86-64, A.2.1: number in rax; arguments in rdi, rsi, rdx, r10; rcx and r11 are lost.
inline long system_call(long number, long first, long second, long third, long fourth) noexcept {
  register long r10 asm("r10") = fourth;
  long result = number;
  asm volatile("syscall" : "+a"(result) : "D"(first), "S"(second), "d"(third), "r"(r10) : "rcx", "r11", "memory");
  return result;
}

inline long word(long value) noexcept {
  return value;
}
inline long word(const void* value) noexcept {
  return reinterpret_cast<long>(value);
}

}  // namespace detail

/// Up to four numbers or pointers. Returns what the kernel does: a negative errno if it failed.
template <typename... Arguments>
long system_call(long number, Arguments... arguments) noexcept {
  static_assert(sizeof...(arguments) <= 4);
  const long words[4] = {detail::word(arguments)...};
  return detail::system_call(number, words[0], words[1], words[2], words[3]);
}

}  // namespace pyro::guest
