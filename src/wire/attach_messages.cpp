#include "wire/attach_messages.hpp"

#include "wire/malformed.hpp"

#include <utility>

namespace pyro::wire {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;
using base::Result;

namespace {

constexpr std::uint8_t kRuns = 1;
constexpr std::uint8_t kInputOpen = 2;

Bytes encode_bytes(std::uint64_t bytes) {
  ByteWriter out;
  out.u64(bytes);
  return std::move(out).take();
}

}  // namespace

Bytes Join::encode() const {
  ByteWriter out;
  out.u64(number);
  out.u8(takes_input ? 1 : 0);
  out.u16(rows);
  out.u16(columns);
  return std::move(out).take();
}

Result<Join> Join::decode(ByteView payload) {
  ByteReader in(payload);
  Join message;
  message.number = in.u64();
  const std::uint8_t takes_input = in.u8();
  message.rows = in.u16();
  message.columns = in.u16();
  message.takes_input = takes_input == 1;
  if (!in.finished() || takes_input > 1 || message.number == 0 || (message.rows == 0) != (message.columns == 0)) {
    return malformed("join");
  }
  return message;
}

Bytes Joined::encode() const {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>((runs ? kRuns : 0) | (input_open ? kInputOpen : 0)));
  return std::move(out).take();
}

Result<Joined> Joined::decode(ByteView payload) {
  ByteReader in(payload);
  const std::uint8_t flags = in.u8();
  if (!in.finished() || flags > (kRuns | kInputOpen) || flags == kInputOpen) {
    return malformed("joined");
  }
  Joined message;
  message.runs = (flags & kRuns) != 0;
  message.input_open = (flags & kInputOpen) != 0;
  return message;
}

Bytes Watch::encode() const {
  return encode_bytes(seen_bytes);
}

Result<Watch> Watch::decode(ByteView payload) {
  ByteReader in(payload);
  Watch message;
  message.seen_bytes = in.u64();
  if (!in.finished()) {
    return malformed("watch");
  }
  return message;
}

Bytes Printed::encode() const {
  return encode_bytes(total_bytes);
}

Result<Printed> Printed::decode(ByteView payload) {
  ByteReader in(payload);
  Printed message;
  message.total_bytes = in.u64();
  if (!in.finished()) {
    return malformed("printed");
  }
  return message;
}

}  // namespace pyro::wire
