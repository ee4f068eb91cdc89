#include "supervisor/shared_input.hpp"

#include <map>
#include <string>

#include <doctest/doctest.h>

using namespace pyro;
using supervisor::SharedInput;

namespace {

struct InputFixture {
  std::string forwarded;
  bool ended = false;
  std::map<SharedInput::Source, std::size_t> granted;
  SharedInput input{{[this](base::ByteView bytes, bool end) {
                       CHECK_FALSE(ended);
                       forwarded += base::as_text(bytes);
                       ended = end;
                     },
                     [this](SharedInput::Source source, std::uint32_t bytes) { granted[source] += bytes; }}};

  InputFixture() {
    input.add(1);
    input.add(2);
  }
  void write(SharedInput::Source source, std::string_view text, bool end = false) {
    REQUIRE(input.receive(source, base::as_bytes(text), end).ok());
  }
};

}  // namespace

TEST_CASE("shared input: two write before it is open → in the order of arrival once it is") {
  InputFixture f;
  f.write(1, "one ");
  f.write(2, "two ");
  f.write(1, "three");
  CHECK(f.forwarded.empty());
  f.input.open();
  CHECK(f.forwarded == "one two three");
  CHECK(f.input.held_bytes() == 0);
}

TEST_CASE("shared input: the agent takes nothing → each has a window of its own, and no more") {
  InputFixture f;
  f.input.open();
  const std::string window(wire::kWindowBytes, 'x');
  f.write(1, window);  // all that the agent takes
  f.write(1, std::string(f.granted[1], 'y'));
  f.write(2, window);
  CHECK_FALSE(f.input.receive(2, base::as_bytes(std::string_view("z")), false).ok());
  CHECK_FALSE(f.granted.contains(2));
  REQUIRE(f.input.grant(wire::kWindowBytes).ok());
  REQUIRE(f.input.grant(wire::kWindowBytes).ok());
  CHECK(f.granted[2] == wire::kWindowBytes);
  CHECK(f.input.held_bytes() == 0);
  CHECK_FALSE((f.input.grant(wire::kWindowBytes).ok() && f.input.grant(1).ok()));
}

TEST_CASE("shared input: one closes it → closed for all, the others' input is dropped and granted for") {
  InputFixture f;
  f.input.open();
  f.write(1, "last", true);
  CHECK(f.ended);
  CHECK_FALSE(f.input.is_open());
  f.write(2, std::string(wire::kWindowBytes, 'x'));
  CHECK(f.forwarded == "last");
  CHECK(f.granted[2] == wire::kWindowBytes);
  CHECK_FALSE(f.input.receive(1, base::as_bytes(std::string_view("more")), false).ok());
}

TEST_CASE("shared input: a writer goes → what it wrote still flows; a stranger → refused") {
  InputFixture f;
  f.write(1, "left behind");
  f.input.remove(1);
  CHECK(f.input.has_sources());
  f.input.open();
  CHECK(f.forwarded == "left behind");
  CHECK_FALSE(f.input.receive(1, base::as_bytes(std::string_view("x")), false).ok());
  f.input.end();
  CHECK(f.ended);
}

TEST_CASE("shared input: the command is gone → nothing is held, everything is granted for") {
  InputFixture f;
  f.write(1, std::string(wire::kWindowBytes, 'x'));
  f.input.discard();
  CHECK(f.input.held_bytes() == 0);
  CHECK(f.granted[1] == wire::kWindowBytes);
  f.input.open();
  CHECK(f.forwarded.empty());
}
