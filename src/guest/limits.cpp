#include "guest/limits.hpp"

#include <algorithm>
#include <charconv>

namespace pyro::guest {

namespace {

constexpr std::uint64_t kMib = 1024 * 1024;
// The agent's queues need some 10 MiB at most; what the kernel needs without charging a cgroup (free page
// reserves, slab caches, network) grows with memory.
constexpr std::uint64_t kReserveMinBytes = 12 * kMib;
constexpr std::uint64_t kReserveMaxBytes = 32 * kMib;
constexpr std::uint64_t kReserveShare = 32;
// Less than this is no guest that runs anything; it only keeps the arithmetic positive.
constexpr std::uint64_t kMemoryFloorBytes = 16 * kMib;

// A task costs the kernel at least 24 KiB (stack, task_struct); four per MiB leave most memory to data.
constexpr std::uint64_t kTasksPerMib = 4;
constexpr std::uint64_t kTasksMin = 256;
constexpr std::uint64_t kTasksMax = 4096;

}  // namespace

GuestLimits guest_limits(std::uint64_t total_bytes, std::uint64_t available_bytes) noexcept {
  const std::uint64_t reserve = std::clamp(total_bytes / kReserveShare, kReserveMinBytes, kReserveMaxBytes);
  GuestLimits limits;
  limits.memory_bytes = std::max(available_bytes, reserve + kMemoryFloorBytes) - reserve;
  limits.tasks = std::clamp(total_bytes / kMib * kTasksPerMib, kTasksMin, kTasksMax);
  return limits;
}

std::uint64_t keyed_number(std::string_view text, std::string_view key) noexcept {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.size() <= key.size() || !line.starts_with(key) || (line[key.size()] != ' ' && line[key.size()] != ':')) {
      continue;
    }
    const auto digits = line.substr(std::min(line.find_first_not_of(" :", key.size()), line.size()));
    std::uint64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  }
  return 0;
}

}  // namespace pyro::guest
