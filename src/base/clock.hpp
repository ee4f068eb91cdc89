// Clocks as plain numbers, for deadlines (monotonic) and for what people read (real time).
#pragma once

#include <cstdint>
#include <ctime>

namespace pyro::base {

inline std::int64_t clock_ns(clockid_t clock) noexcept {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}
inline std::int64_t monotonic_ns() noexcept {
  return clock_ns(CLOCK_MONOTONIC);
}
inline std::int64_t monotonic_ms() noexcept {
  return monotonic_ns() / 1'000'000;
}
inline std::int64_t realtime_ns() noexcept {
  return clock_ns(CLOCK_REALTIME);
}

}  // namespace pyro::base
