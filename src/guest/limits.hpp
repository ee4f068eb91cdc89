// What the commands of a guest may use together, and reading back what they used.
// Pure code: no I/O. Thread rule: functions without state.
#pragma once

#include <cstdint>
#include <string_view>

namespace pyro::guest {

struct GuestLimits {
  std::uint64_t memory_bytes = 0;
  std::uint64_t tasks = 0;
};

/// The limits of all commands together in a booted guest with `total_bytes` of memory (MemTotal), of which
/// `available_bytes` are free to use (MemAvailable): some of that stays with the agent and the kernel, so
/// that running out of memory is the commands' trouble alone.
GuestLimits guest_limits(std::uint64_t total_bytes, std::uint64_t available_bytes) noexcept;

/// The number after `key` in a file of "key value" lines (memory.events, cpu.stat, meminfo), 0 if absent.
std::uint64_t keyed_number(std::string_view text, std::string_view key) noexcept;

}  // namespace pyro::guest
