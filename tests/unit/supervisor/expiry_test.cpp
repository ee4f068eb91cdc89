#include "supervisor/expiry.hpp"

#include <doctest/doctest.h>

using pyro::supervisor::Expiry;
using Reason = Expiry::Reason;

TEST_CASE("expiry: nobody uses it for its TTL → due exactly then, not a moment before") {
  Expiry expiry(1000, 600, 0);
  CHECK_FALSE(expiry.due_at());  // used until it is said that it is not
  expiry.set_used(2000, false);
  CHECK(expiry.due_at() == 2600);
  CHECK(expiry.due(2599) == Reason::none);
  CHECK(expiry.idle_left_ms(2599) == 1);
  CHECK(expiry.due(2600) == Reason::unused);
  CHECK(expiry.idle_left_ms(9999) == 1);
}

TEST_CASE("expiry: used in between → the time begins anew; told twice that it is not used → it does not") {
  Expiry expiry(0, 600, 0);
  expiry.set_used(0, false);
  expiry.set_used(300, false);
  CHECK(expiry.due_at() == 600);
  expiry.set_used(500, true);
  CHECK(expiry.due(100'000) == Reason::none);
  CHECK(expiry.idle_left_ms(100'000) == 600);
  expiry.set_used(700, false);
  CHECK(expiry.due_at() == 1300);
}

TEST_CASE("expiry: looking at it → changes nothing") {
  Expiry expiry(0, 600, 5000);
  expiry.set_used(0, false);
  for (int now = 0; now < 600; now += 100) {
    CHECK(expiry.due(now) == Reason::none);
    CHECK(expiry.idle_left_ms(now) == static_cast<std::uint64_t>(600 - now));
    CHECK(expiry.lifetime_left_ms(now) == static_cast<std::uint64_t>(5000 - now));
  }
  CHECK(expiry.due(600) == Reason::unused);
}

TEST_CASE("expiry: the maximum lifetime → over however it is used, and before the TTL where both are") {
  Expiry expiry(100, 600, 1000);
  CHECK(expiry.due_at() == 1100);
  CHECK(expiry.due(1099) == Reason::none);
  CHECK(expiry.due(1100) == Reason::lifetime);
  expiry.set_used(500, false);
  CHECK(expiry.due_at() == 1100);
  CHECK(expiry.due(1100) == Reason::lifetime);
  CHECK(expiry.lifetime_left_ms(2000) == 0);
}

TEST_CASE("expiry: users come and go → the timer is set anew only where it would be too late") {
  Expiry expiry(1000, 100, 0);
  CHECK_FALSE(expiry.set_timer());
  expiry.set_used(1000, false);
  CHECK(expiry.set_timer() == 1100);
  for (std::int64_t now_ms = 1001; now_ms < 1050; ++now_ms) {
    expiry.set_used(now_ms, true);
    CHECK_FALSE(expiry.set_timer());
    expiry.set_used(now_ms, false);
    CHECK_FALSE(expiry.set_timer());
  }
  expiry.timer_ended();
  CHECK(expiry.due(1100) == Expiry::Reason::none);
  CHECK(expiry.set_timer() == 1149);
  expiry.set_ttl(1110, 10);
  CHECK(expiry.set_timer() == 1120);
}

TEST_CASE("expiry: another TTL → from now on; none → never") {
  Expiry expiry(0, 600, 0);
  expiry.set_used(0, false);
  expiry.set_ttl(500, 200);
  CHECK(expiry.due_at() == 700);
  expiry.set_ttl(600, 0);
  CHECK_FALSE(expiry.due_at());
  CHECK(expiry.idle_left_ms(700) == 0);
  CHECK(expiry.due(1'000'000) == Reason::none);
}
