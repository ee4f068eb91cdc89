// Stdin on its way from the link into the pipe.
#include <doctest/doctest.h>

#include "guest/input_queue.hpp"

namespace pyro::guest {

namespace {

base::Bytes bytes(std::size_t size, char fill = 'x') {
  return base::Bytes(size, static_cast<std::byte>(fill));
}

}  // namespace

TEST_SUITE("guest") {
  TEST_CASE("input: a mark for the end → behind all input, across partial writes, without credit") {
    InputQueue input;
    REQUIRE(input.push(bytes(wire::kWindowBytes / 4 - 1), true));
    input.append_end("\x04\x04");
    CHECK(input.advance(wire::kWindowBytes / 4 - 1) == 0);
    CHECK(base::as_text(input.front()) == "\x04\x04");
    CHECK_FALSE(input.finished());
    CHECK(input.advance(1) == 0);
    CHECK_FALSE(input.finished());
    CHECK(base::as_text(input.front()) == "\x04");
    CHECK(input.advance(1) == 0);
    CHECK(input.finished());
    CHECK(input.front().empty());
  }

  TEST_CASE("input: chunks → come out in order, across partial writes") {
    InputQueue input;
    REQUIRE(input.push(bytes(3, 'a'), false));
    REQUIRE(input.push(bytes(2, 'b'), true));
    CHECK(input.front().size() == 3);
    CHECK(input.advance(2) == 0);
    CHECK(base::as_text(input.front()) == "a");
    CHECK(input.advance(1) == 0);
    CHECK(base::as_text(input.front()) == "bb");
    CHECK_FALSE(input.finished());
    CHECK(input.advance(2) == 0);
    CHECK(input.front().empty());
    CHECK(input.finished());
  }

  TEST_CASE("input: data after the end → refused") {
    InputQueue input;
    REQUIRE(input.push({}, true));
    CHECK(input.finished());
    CHECK_FALSE(input.push(bytes(1), false));
  }

  TEST_CASE("input: more than the window without credit → refused") {
    InputQueue input;
    for (std::uint32_t sent = 0; sent < wire::kWindowBytes; sent += 32 * 1024) {
      REQUIRE(input.push(bytes(32 * 1024), false));
    }
    CHECK_FALSE(input.push(bytes(1), false));
  }

  TEST_CASE("input: written bytes → are granted again, so any amount passes") {
    InputQueue input;
    std::uint64_t credit = wire::kWindowBytes;
    for (int round = 0; round < 1000; ++round) {
      REQUIRE(credit >= 10'000);
      REQUIRE(input.push(bytes(10'000), false));
      credit -= 10'000;
      credit += input.advance(input.front().size());
    }
  }

  TEST_CASE("input: the reader is gone → thrown away, and granted all the same") {
    InputQueue input;
    std::uint64_t credit = wire::kWindowBytes;
    for (int round = 0; round < 1000; ++round) {
      REQUIRE(credit >= 10'000);
      REQUIRE(input.push(bytes(10'000), false));
      credit -= 10'000;
      credit += input.discard();
    }
    CHECK(input.front().empty());
    REQUIRE(input.push(bytes(1), true));
    (void)input.discard();
    CHECK(input.finished());
  }

  TEST_CASE("input: where the line stands → known for the end of input on a terminal") {
    InputQueue input;
    CHECK(input.at_line_start());
    REQUIRE(input.push(bytes(1, 'a'), false));
    (void)input.advance(1);
    CHECK_FALSE(input.at_line_start());
    REQUIRE(input.push(bytes(1, '\n'), false));
    (void)input.advance(1);
    CHECK(input.at_line_start());
  }
}

}  // namespace pyro::guest
