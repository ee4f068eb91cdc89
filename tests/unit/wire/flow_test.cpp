// The parts of a link that decide what may be sent, and when: FrameQueue, SendCredit, ReceiveCredit.
#include <algorithm>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include "wire/frame.hpp"
#include "wire/messages.hpp"

namespace pyro::wire {

namespace {

using base::Bytes;

// Writes `bytes` of what the queue offers, in pieces as a socket would take them.
void drain(FrameQueue& queue, FrameParser& parser, std::size_t piece_bytes) {
  while (!queue.empty()) {
    const auto front = queue.front();
    const auto piece = front.first(std::min(piece_bytes, front.size()));
    parser.feed(piece);
    queue.advance(piece.size());
  }
}

std::vector<std::uint32_t> streams(FrameParser& parser) {
  std::vector<std::uint32_t> out;
  for (auto frame = parser.next(); frame.ok() && frame->has_value(); frame = parser.next()) {
    out.push_back((*frame)->stream);
  }
  return out;
}

Bytes data(std::uint32_t stream) {
  return data_frame(stream, Channel::out, base::as_bytes("data"), false);
}

// Too large to go with another.
Bytes large_data(std::uint32_t stream) {
  return data_frame(stream, Channel::out, Bytes(5000), false);
}

}  // namespace

TEST_SUITE("wire") {
  TEST_CASE("queue: control pushed behind data → written first; each kind stays in order") {
    FrameQueue queue;
    queue.push_data(data(1));
    queue.push_data(data(2));
    queue.push_control(bare_frame(FrameType::kill, 11));
    queue.push_control(bare_frame(FrameType::kill, 12));
    queue.push_data(data(3));
    FrameParser parser;
    drain(queue, parser, 5);
    CHECK(streams(parser) == std::vector<std::uint32_t>{11, 12, 1, 2, 3});
  }

  TEST_CASE("queue: control pushed while a data frame is half written → after that frame, before the next") {
    FrameQueue queue;
    queue.push_data(large_data(1));
    queue.push_data(large_data(2));
    FrameParser parser;
    parser.feed(queue.front().first(3));
    queue.advance(3);
    queue.push_control(bare_frame(FrameType::kill, 11));
    drain(queue, parser, 7);
    CHECK(streams(parser) == std::vector<std::uint32_t>{1, 11, 2});
  }

  TEST_CASE("queue: small frames → offered in one piece, control first; a large one alone") {
    FrameQueue queue;
    queue.push_data(data(1));
    queue.push_data(data(2));
    queue.push_control(bare_frame(FrameType::ping));
    queue.push_data(large_data(3));
    queue.push_data(data(4));
    CHECK(queue.front().size() == 3 * kHeaderBytes + 8);
    CHECK(queue.pending_control_bytes() == 0);
    FrameParser parser;
    parser.feed(queue.front());
    queue.advance(queue.front().size());
    CHECK(streams(parser) == std::vector<std::uint32_t>{0, 1, 2});
    CHECK(queue.front().size() == large_data(3).size());
    queue.advance(queue.front().size());
    CHECK(queue.front().size() == kHeaderBytes + 4);
  }

  TEST_CASE("queue: many small frames → a piece is never more than a buffer of the port") {
    FrameQueue queue;
    for (std::uint32_t i = 1; i <= 1000; ++i) {
      queue.push_data(data(i));
    }
    FrameParser parser;
    std::size_t pieces = 0;
    for (; !queue.empty(); ++pieces) {
      const auto front = queue.front();
      CHECK(front.size() <= 4096);
      parser.feed(front);
      queue.advance(front.size());
    }
    CHECK(pieces == (1000 * (kHeaderBytes + 4) + 4095) / 4096);
    const auto order = streams(parser);
    CHECK(order.size() == 1000);
    CHECK(std::is_sorted(order.begin(), order.end()));
  }

  TEST_CASE("queue: pending_bytes → what was pushed and not yet written") {
    FrameQueue queue;
    CHECK(queue.empty());
    CHECK(queue.front().empty());
    queue.push_data(data(1));
    queue.push_control(bare_frame(FrameType::ping));
    CHECK(queue.pending_bytes() == 2 * kHeaderBytes + 4);
    CHECK(queue.front().size() == 2 * kHeaderBytes + 4);
    queue.advance(5);
    CHECK(queue.pending_bytes() == 2 * kHeaderBytes - 1);
    CHECK(queue.front().size() == 2 * kHeaderBytes - 1);
    FrameParser parser;
    queue.advance(queue.front().size());
    queue.advance(queue.front().size());
    CHECK(queue.empty());
    CHECK(queue.pending_bytes() == 0);
  }

  TEST_CASE("send credit: a window at the start, spent and granted back, never beyond the window") {
    SendCredit credit;
    CHECK(credit.available() == kWindowBytes);
    CHECK_FALSE(credit.grant(1));
    credit.spend(1000);
    CHECK(credit.available() == kWindowBytes - 1000);
    CHECK_FALSE(credit.grant(1001));
    CHECK(credit.available() == kWindowBytes - 1000);
    CHECK(credit.grant(1000));
    credit.spend(kWindowBytes);
    CHECK(credit.available() == 0);
    CHECK(credit.grant(kWindowBytes));
    CHECK_FALSE(credit.grant(0xffffffff));
  }

  TEST_CASE("receive credit: a sender that overruns the window → noticed") {
    ReceiveCredit credit;
    CHECK(credit.receive(kWindowBytes));
    CHECK_FALSE(credit.receive(1));
    CHECK(credit.receive(0));
  }

  TEST_CASE("receive credit: small reads → one grant per quarter of the window") {
    ReceiveCredit credit;
    REQUIRE(credit.receive(kWindowBytes));
    CHECK(credit.consume(kWindowBytes / 4 - 1) == 0);
    CHECK(credit.consume(1) == kWindowBytes / 4);
    CHECK(credit.consume(1) == 0);
    // What was consumed but not granted yet may not be sent yet either.
    CHECK_FALSE(credit.receive(kWindowBytes / 4 + 1));
    CHECK(credit.receive(kWindowBytes / 4));
  }

  TEST_CASE("credit: a sender and a receiver that follow the rules → never stuck, never refused") {
    std::mt19937 random(1);  // NOLINT: the same sequence every time
    SendCredit sender;
    ReceiveCredit receiver;
    std::uint64_t in_flight = 0;
    std::uint64_t unread = 0;
    std::uint64_t delivered = 0;
    while (delivered < 64ull * kWindowBytes) {
      const auto wanted = static_cast<std::uint32_t>(random() % kMaxDataBytes) + 1;
      const std::uint32_t sent = std::min(wanted, sender.available());
      sender.spend(sent);
      in_flight += sent;
      REQUIRE(receiver.receive(static_cast<std::uint32_t>(in_flight)));
      unread += in_flight;
      in_flight = 0;
      // A reader that takes all it has must never leave the sender without credit.
      const auto read = static_cast<std::uint32_t>(random() % 4 == 0 ? unread : random() % (unread + 1));
      unread -= read;
      delivered += read;
      const std::uint32_t granted = receiver.consume(read);
      if (granted != 0) {
        REQUIRE(sender.grant(granted));
      }
      if (unread == 0) {
        REQUIRE(sender.available() > 0);
      }
    }
  }
}

}  // namespace pyro::wire
