#include "machine/qemu/tsc.hpp"

#include "base/clock.hpp"

#include <limits>

#include <x86intrin.h>

namespace pyro::machine {

namespace {

constexpr std::int64_t kMeasureNs = 1'000'000;
// Of so many tries the one with the least time between the two readings counts.
constexpr int kTries = 8;

struct Reading {
  std::uint64_t tsc = 0;
  std::int64_t ns = 0;
};

Reading read_both() noexcept {
  Reading best;
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (int i = 0; i < kTries; ++i) {
    const std::uint64_t before = __rdtsc();
    const std::int64_t ns = base::clock_ns(CLOCK_MONOTONIC_RAW);
    const std::uint64_t taken = __rdtsc() - before;
    if (taken < least) {
      least = taken;
      best = {before + taken / 2, ns};
    }
  }
  return best;
}

}  // namespace

std::uint64_t measure_tsc_khz() noexcept {
  const Reading first = read_both();
  Reading last = first;
  while (last.ns - first.ns < kMeasureNs) {
    last = read_both();
  }
  return (last.tsc - first.tsc) * 1'000'000 / static_cast<std::uint64_t>(last.ns - first.ns);
}

}  // namespace pyro::machine
