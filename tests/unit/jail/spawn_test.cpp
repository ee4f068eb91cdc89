#include "jail/spawn.hpp"

#include <atomic>
#include <chrono>
#include <csignal>

#include <doctest/doctest.h>
#include <sys/time.h>

namespace pyro::jail {

namespace {

constexpr int kTickMs = 10;
constexpr int kMaxTicks = 80;
std::atomic<int> ticks{0};

void set_timer(int ms) {
  itimerval timer{};
  timer.it_interval.tv_usec = timer.it_value.tv_usec = ms * 1000;
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

// Stops by itself, so that a wait that starts anew with every signal ends all the same.
void count_tick(int) {
  if (++ticks == kMaxTicks) {
    set_timer(0);
  }
}

}  // namespace

TEST_CASE("wait: signals arrive all the time → it ends when its time is over") {
  SpawnOptions options;
  options.program = "/bin/sleep";
  options.argv = {"sleep", "60"};
  auto process = spawn_process(options);
  REQUIRE(process.ok());
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = count_tick;
  ::sigaction(SIGALRM, &action, &before);
  set_timer(kTickMs);
  const auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(process->wait(100));
  const auto waited = std::chrono::steady_clock::now() - start;
  const int seen = ticks;
  set_timer(0);
  ::sigaction(SIGALRM, &before, nullptr);
  process->kill();
  CHECK(waited >= std::chrono::milliseconds(100));
  CHECK(seen > 0);
  CHECK(seen < kMaxTicks);
}

}  // namespace pyro::jail
