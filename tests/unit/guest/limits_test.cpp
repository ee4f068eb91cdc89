// What commands may use together, and the kernel's files of numbers.
#include <doctest/doctest.h>

#include "guest/limits.hpp"

namespace pyro::guest {

namespace {

constexpr std::uint64_t kMib = 1024 * 1024;

}  // namespace

TEST_SUITE("guest") {
  TEST_CASE("limits: a guest of any size → something stays with agent and kernel") {
    for (const std::uint64_t total_mib : {96U, 128U, 512U, 1024U, 65536U}) {
      CAPTURE(total_mib);
      const std::uint64_t available = total_mib * kMib - 40 * kMib;
      const GuestLimits limits = guest_limits(total_mib * kMib, available);
      CHECK(limits.memory_bytes + 12 * kMib <= available);
      CHECK(limits.memory_bytes >= 16 * kMib);
      CHECK(limits.tasks >= 256);
      CHECK(limits.tasks <= 4096);
    }
    CHECK(guest_limits(512 * kMib, 430 * kMib).memory_bytes == 414 * kMib);
    CHECK(guest_limits(512 * kMib, 430 * kMib).tasks == 2048);
  }

  TEST_CASE("limits: numbers that make no sense → still limits") {
    CHECK(guest_limits(0, 0).memory_bytes == 16 * kMib);
    CHECK(guest_limits(0, 0).tasks == 256);
  }

  TEST_CASE("numbers: key and value → the value; anything else → 0") {
    constexpr std::string_view events = "low 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n";
    CHECK(keyed_number(events, "oom_kill") == 2);
    CHECK(keyed_number(events, "oom") == 3);
    CHECK(keyed_number(events, "high") == 0);
    CHECK(keyed_number("MemTotal:         481428 kB\n", "MemTotal") == 481428);
    CHECK(keyed_number("usage_usec 18446744073709551615", "usage_usec") == UINT64_MAX);
    CHECK(keyed_number("", "x") == 0);
    CHECK(keyed_number("x", "x") == 0);
    CHECK(keyed_number("x ", "x") == 0);
    CHECK(keyed_number("x y\nx 5", "x") == 0);
  }
}

}  // namespace pyro::guest
