// The order of messages that the agent accepts.
#include <doctest/doctest.h>

#include "guest/link_rules.hpp"

namespace pyro::guest {

namespace {

using wire::FrameType;

wire::Frame frame(FrameType type, std::uint8_t flags = 0) {
  wire::Frame out;
  out.type = type;
  out.stream = type < FrameType::exec ? 0 : 1;
  out.flags = flags;
  return out;
}

bool accepts(LinkRules& rules, const wire::Frame& candidate, bool stream_in_use = false) {
  return rules.accept(candidate, stream_in_use).ok();
}

LinkRules personalised() {
  LinkRules rules;
  REQUIRE(accepts(rules, frame(FrameType::personalise)));
  return rules;
}

constexpr auto kOut = static_cast<std::uint8_t>(wire::Channel::out);

}  // namespace

TEST_SUITE("guest") {
  TEST_CASE("order: before personalise → only the link's own frames") {
    for (const FrameType type :
         {FrameType::exec, FrameType::data, FrameType::credit, FrameType::signal, FrameType::resize, FrameType::kill}) {
      LinkRules rules;
      CAPTURE(static_cast<int>(type));
      CHECK_FALSE(accepts(rules, frame(type, type == FrameType::credit ? kOut : 0)));
    }
    LinkRules rules;
    CHECK(accepts(rules, frame(FrameType::ping)));
    CHECK(accepts(rules, frame(FrameType::power_off)));
    CHECK_FALSE(rules.personalised());
  }

  TEST_CASE("order: personalise → once") {
    LinkRules rules = personalised();
    CHECK(rules.personalised());
    CHECK_FALSE(accepts(rules, frame(FrameType::personalise)));
  }

  TEST_CASE("order: after personalise → commands") {
    LinkRules rules = personalised();
    CHECK(accepts(rules, frame(FrameType::exec)));
    CHECK(accepts(rules, frame(FrameType::data), true));
    CHECK(accepts(rules, frame(FrameType::credit, kOut), true));
    CHECK(accepts(rules, frame(FrameType::kill), true));
    CHECK_FALSE(accepts(rules, frame(FrameType::exec), true));
  }

  TEST_CASE("order: frames for a command that is gone → accepted, they crossed its exit") {
    LinkRules rules = personalised();
    CHECK(accepts(rules, frame(FrameType::data)));
    CHECK(accepts(rules, frame(FrameType::signal)));
  }

  TEST_CASE("order: channels of the wrong direction → refused") {
    LinkRules rules = personalised();
    CHECK_FALSE(accepts(rules, frame(FrameType::data, kOut), true));
    CHECK_FALSE(accepts(rules, frame(FrameType::credit), true));
  }

  TEST_CASE("order: what only agents or clients send → refused") {
    LinkRules rules = personalised();
    for (const FrameType type : {FrameType::hello, FrameType::ready, FrameType::failed, FrameType::pong,
                                 FrameType::guest_reset, FrameType::configure, FrameType::progress,
                                 FrameType::status_request, FrameType::status, FrameType::started, FrameType::exit}) {
      CAPTURE(static_cast<int>(type));
      CHECK_FALSE(accepts(rules, frame(type)));
    }
  }
}

}  // namespace pyro::guest
