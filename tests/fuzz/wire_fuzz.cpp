// Frames and messages from a hostile peer. The input is a byte stream as it would come from a socket.
// Invariants: how the stream is cut into pieces changes nothing; what decodes encodes to the same bytes.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "wire/attach_messages.hpp"
#include "wire/frame.hpp"
#include "wire/messages.hpp"

namespace {

using pyro::base::Bytes;
using pyro::base::ByteView;
using namespace pyro::wire;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

template <typename Message>
void check_canonical(const Bytes& payload) {
  const auto message = Message::decode(payload);
  if (message.ok()) {
    require(message->encode() == payload);
  }
}

void check_message(const Frame& frame) {
  switch (frame.type) {
    case FrameType::hello:
      return check_canonical<Hello>(frame.payload);
    case FrameType::personalise:
      return check_canonical<Personalise>(frame.payload);
    case FrameType::ready:
      return check_canonical<Ready>(frame.payload);
    case FrameType::failed:
      return check_canonical<Failed>(frame.payload);
    case FrameType::guest_reset:
      return check_canonical<GuestReset>(frame.payload);
    case FrameType::configure:
      return check_canonical<Configure>(frame.payload);
    case FrameType::attach:
      return check_canonical<Attach>(frame.payload);
    case FrameType::set_ttl:
      return check_canonical<SetTtl>(frame.payload);
    case FrameType::dispatched:
      return check_canonical<Dispatched>(frame.payload);
    case FrameType::progress:
      return check_canonical<Progress>(frame.payload);
    case FrameType::status:
      return check_canonical<Status>(frame.payload);
    case FrameType::log:
      return check_canonical<Log>(frame.payload);
    case FrameType::exec:
      return check_canonical<Exec>(frame.payload);
    case FrameType::credit:
      return check_canonical<Credit>(frame.payload);
    case FrameType::signal:
      return check_canonical<Signal>(frame.payload);
    case FrameType::resize:
      return check_canonical<Resize>(frame.payload);
    case FrameType::join:
      return check_canonical<Join>(frame.payload);
    case FrameType::joined:
      return check_canonical<Joined>(frame.payload);
    case FrameType::watch:
      return check_canonical<Watch>(frame.payload);
    case FrameType::printed:
      return check_canonical<Printed>(frame.payload);
    case FrameType::exit:
      return check_canonical<Exit>(frame.payload);
    default:
      return;
  }
}

struct Parsed {
  std::vector<Bytes> frames;
  bool broken = false;

  bool operator==(const Parsed&) const = default;
};

Parsed parse(ByteView stream, std::size_t piece_bytes) {
  Parsed out;
  FrameParser parser;
  while (!stream.empty() && !out.broken) {
    const ByteView piece = stream.first(std::min(piece_bytes, stream.size()));
    stream = stream.subspan(piece.size());
    parser.feed(piece);
    while (true) {
      const auto frame = parser.next();
      if (!frame.ok()) {
        out.broken = true;
        break;
      }
      if (!frame->has_value()) {
        break;
      }
      check_message(**frame);
      out.frames.push_back(encode_frame((*frame)->type, (*frame)->stream, (*frame)->flags, (*frame)->payload));
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView stream(reinterpret_cast<const std::byte*>(data), size);
  const Parsed whole = parse(stream, size);
  // What was parsed is the input itself, frame by frame.
  std::size_t offset = 0;
  for (const Bytes& frame : whole.frames) {
    require(offset + frame.size() <= size);
    require(std::equal(frame.begin(), frame.end(), stream.begin() + static_cast<std::ptrdiff_t>(offset)));
    offset += frame.size();
  }
  require(parse(stream, 7) == whole);
  return 0;
}
