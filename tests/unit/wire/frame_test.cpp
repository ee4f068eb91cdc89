#include "wire/frame.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "wire/messages.hpp"

namespace pyro::wire {

namespace {

using base::Bytes;
using base::ByteView;

constexpr std::size_t kTypeOffset = 8;
constexpr std::size_t kFlagsOffset = 9;
constexpr std::size_t kReservedOffset = 10;

Bytes sample_data() {
  return data_frame(7, Channel::err, base::as_bytes("hello"), true);
}

// What a parser says to one whole frame.
base::Result<std::optional<Frame>> parse(const Bytes& bytes) {
  FrameParser parser;
  parser.feed(bytes);
  return parser.next();
}

void append(Bytes& to, const Bytes& more) {
  to.insert(to.end(), more.begin(), more.end());
}

}  // namespace

TEST_SUITE("wire") {
  TEST_CASE("frame: encoded → a header of the documented layout, then the payload") {
    const Bytes bytes = sample_data();
    REQUIRE(bytes.size() == kHeaderBytes + 5);
    base::ByteReader in(bytes);
    CHECK(in.u32() == 5);
    CHECK(in.u32() == 7);
    CHECK(in.u8() == 34);
    CHECK(in.u8() == (2 | kFlagEnd));
    CHECK(in.u16() == 0);
    CHECK(base::as_text(in.raw(5)) == "hello");
  }

  TEST_CASE("parser: fed byte by byte → each frame comes out when its last byte has come, not before") {
    Bytes stream = sample_data();
    append(stream, bare_frame(FrameType::ping));
    append(stream, credit_frame(3, Channel::in, 100));
    FrameParser parser;
    std::vector<FrameType> types;
    std::vector<std::size_t> ends;
    for (std::size_t i = 0; i < stream.size(); ++i) {
      parser.feed(ByteView(stream).subspan(i, 1));
      auto frame = parser.next();
      REQUIRE(frame.ok());
      if (frame->has_value()) {
        types.push_back((*frame)->type);
        ends.push_back(i + 1);
      }
    }
    CHECK(types == std::vector<FrameType>{FrameType::data, FrameType::ping, FrameType::credit});
    CHECK(ends == std::vector<std::size_t>{kHeaderBytes + 5, 2 * kHeaderBytes + 5, stream.size()});
  }

  TEST_CASE("parser: several frames in one piece → all of them, in order, then nothing") {
    Bytes stream = bare_frame(FrameType::ping);
    append(stream, sample_data());
    append(stream, bare_frame(FrameType::started, 7));
    FrameParser parser;
    parser.feed(stream);
    CHECK((*parser.next())->type == FrameType::ping);
    const auto data = parser.next();
    CHECK((*data)->stream == 7);
    CHECK((*data)->channel_number() == static_cast<std::uint8_t>(Channel::err));
    CHECK((*data)->ends_channel());
    CHECK(base::as_text((*data)->payload) == "hello");
    CHECK((*parser.next())->type == FrameType::started);
    CHECK_FALSE(parser.next()->has_value());
  }

  TEST_CASE("parser: a type that does not exist → refused") {
    for (int type = 0; type < 256; ++type) {
      CAPTURE(type);
      const bool known = (type >= 1 && type <= 8) || (type >= 16 && type <= 26) || (type >= 32 && type <= 40) ||
                         (type >= 44 && type <= 47);
      const auto frame = parse(encode_frame(static_cast<FrameType>(type), type < 32 ? 0 : 1, 0, {}));
      CHECK(frame.ok() == known);
    }
  }

  TEST_CASE("parser: a link frame on a command's stream, or the reverse → refused") {
    CHECK_FALSE(parse(bare_frame(FrameType::ping, 1)).ok());
    CHECK_FALSE(parse(bare_frame(FrameType::started, 0)).ok());
  }

  TEST_CASE("parser: reserved bits or unknown flags → refused") {
    for (const std::size_t offset : {kReservedOffset, kReservedOffset + 1}) {
      Bytes bytes = sample_data();
      bytes[offset] = std::byte{1};
      CHECK_FALSE(parse(bytes).ok());
    }
    Bytes other_channel = sample_data();
    other_channel[kFlagsOffset] = std::byte{3};
    CHECK_FALSE(parse(other_channel).ok());
    Bytes unknown_flag = sample_data();
    unknown_flag[kFlagsOffset] = std::byte{0x41};
    CHECK_FALSE(parse(unknown_flag).ok());
    Bytes end_of_credit = credit_frame(1, Channel::in, 1);
    end_of_credit[kFlagsOffset] = std::byte{kFlagEnd};
    CHECK_FALSE(parse(end_of_credit).ok());
    Bytes flagged_ping = bare_frame(FrameType::ping);
    flagged_ping[kFlagsOffset] = std::byte{1};
    CHECK_FALSE(parse(flagged_ping).ok());
  }

  TEST_CASE("parser: the longest payload of each kind → taken; one byte more → refused from its header alone") {
    struct Case {
      FrameType type;
      std::size_t max_bytes;
    };
    for (const Case& limit : {Case{FrameType::data, kMaxDataBytes}, Case{FrameType::exec, kMaxControlBytes},
                              Case{FrameType::progress, 64 * 1024}}) {
      const std::uint32_t stream = limit.type < FrameType::exec ? 0 : 1;
      const Bytes longest = encode_frame(limit.type, stream, 0, Bytes(limit.max_bytes));
      const auto frame = parse(longest);
      REQUIRE(frame.ok());
      CHECK((*frame)->payload.size() == limit.max_bytes);
      Bytes longer = encode_frame(limit.type, stream, 0, Bytes(limit.max_bytes + 1));
      longer.resize(kHeaderBytes);
      CHECK_FALSE(parse(longer).ok());
    }
  }

  TEST_CASE("parser: after a broken frame → dead for good, even if good bytes follow") {
    FrameParser parser;
    Bytes bytes = sample_data();
    bytes[kTypeOffset] = std::byte{200};
    parser.feed(bytes);
    CHECK_FALSE(parser.next().ok());
    parser.feed(bare_frame(FrameType::ping));
    const auto again = parser.next();
    REQUIRE_FALSE(again.ok());
    CHECK(again.error().code == PYRO_ERROR_INTERNAL);
  }
}

}  // namespace pyro::wire
