#include "supervisor/channel_relay.hpp"

#include <algorithm>
#include <string>

#include <doctest/doctest.h>

using namespace pyro;
using supervisor::ChannelRelay;

namespace {

struct RelayPeer {
  std::string got;
  bool ended = false;
  std::uint32_t granted = 0;
  std::size_t largest = 0;
  ChannelRelay relay{{[this](base::ByteView bytes, bool end) {
                        got += base::as_text(bytes);
                        largest = std::max(largest, bytes.size());
                        CHECK_FALSE(ended);
                        ended = end;
                      },
                      [this](std::uint32_t bytes) { granted += bytes; }}};
};

}  // namespace

TEST_CASE("channel relay: open → chunks pass at once, the end flag with the last") {
  RelayPeer peer;
  peer.relay.open();
  REQUIRE(peer.relay.receive(base::as_bytes("abc"), false).ok());
  REQUIRE(peer.relay.receive(base::as_bytes("def"), true).ok());
  CHECK(peer.got == "abcdef");
  CHECK(peer.ended);
  CHECK(peer.relay.finished());
  CHECK_FALSE(peer.relay.receive(base::as_bytes("x"), false).ok());
}

TEST_CASE("channel relay: closed → held, then passed in legal chunks") {
  RelayPeer peer;
  const std::string block(wire::kMaxDataBytes, 'b');
  for (int i = 0; i < 4; ++i) {
    REQUIRE(peer.relay.receive(base::as_bytes(block), false).ok());
  }
  REQUIRE(peer.relay.receive({}, true).ok());
  CHECK(peer.got.empty());
  peer.relay.open();
  CHECK(peer.got.size() == 4 * block.size());
  CHECK(peer.largest <= wire::kMaxDataBytes);
  CHECK(peer.ended);
}

TEST_CASE("channel relay: receiver grants nothing → sender is held at the window and granted no more") {
  RelayPeer peer;
  peer.relay.open();
  const std::string block(16 * 1024, 'b');
  std::size_t sent = 0;
  while (peer.relay.receive(base::as_bytes(block), false).ok()) {
    sent += block.size();
    REQUIRE(sent <= 4 * wire::kWindowBytes);
  }
  // One window went through to the receiver, a second one is held.
  CHECK(peer.got.size() == wire::kWindowBytes);
  CHECK(sent == 2 * wire::kWindowBytes);
}

TEST_CASE("channel relay: receiver grants → what is held flows, and the sender is granted for it") {
  RelayPeer peer;
  peer.relay.open();
  const std::string block(16 * 1024, 'b');
  for (std::size_t sent = 0; sent < 2 * wire::kWindowBytes; sent += block.size()) {
    REQUIRE(peer.relay.receive(base::as_bytes(block), false).ok());
  }
  const auto granted_before = peer.granted;
  REQUIRE(peer.relay.grant(wire::kWindowBytes).ok());
  CHECK(peer.got.size() == 2 * wire::kWindowBytes);
  CHECK(peer.granted - granted_before == wire::kWindowBytes);
  // That used up what was granted; now no more than one window may be outstanding.
  CHECK(peer.relay.grant(wire::kWindowBytes).ok());
  CHECK_FALSE(peer.relay.grant(1).ok());
}

TEST_CASE("channel relay: a receiver that is always a little behind → what it holds stays bounded") {
  RelayPeer peer;
  peer.relay.open();
  const std::string block(16 * 1024, 'b');
  for (std::size_t sent = 0; sent < wire::kWindowBytes + block.size(); sent += block.size()) {
    REQUIRE(peer.relay.receive(base::as_bytes(block), false).ok());
  }
  for (int i = 0; i < 10'000; ++i) {
    REQUIRE(peer.relay.receive(base::as_bytes(block), false).ok());
    REQUIRE(peer.relay.grant(static_cast<std::uint32_t>(block.size())).ok());
  }
  CHECK(peer.relay.memory_bytes() <= 2 * wire::kWindowBytes);
}

TEST_CASE("channel relay: discarded → the sender is not blocked") {
  RelayPeer peer;
  peer.relay.discard();
  const std::string block(16 * 1024, 'b');
  for (std::size_t sent = 0; sent < 8 * wire::kWindowBytes; sent += block.size()) {
    REQUIRE(peer.relay.receive(base::as_bytes(block), false).ok());
  }
  CHECK(peer.got.empty());
}
