// One command between a client and an agent, both hostile, in any order. The input is a list of steps:
//
//   u8 who: 0 client, 1 agent, 2 dispatch, 3 time_out, 4 give_up
//   after 0 and 1: u8 type | u8 flags | u16 size | payload, which is not in the input for `data`
//
// Invariants: whoever gets frames could trust their order and their credit; an error ends the session.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "supervisor/session.hpp"

namespace {

using pyro::base::ByteReader;
using pyro::base::Bytes;
using pyro::base::ByteView;
using namespace pyro::wire;

constexpr std::uint32_t kClientStream = 7;
constexpr std::uint32_t kAgentStream = 3;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

// The frame if a parser takes it, as a Link would have it.
std::optional<Frame> parsed(const Bytes& bytes) {
  FrameParser parser;
  parser.feed(bytes);
  auto frame = parser.next();
  return frame.ok() ? std::move(*frame) : std::nullopt;
}

// What one side has sent on one channel, and what it was granted for that.
struct Flow {
  std::uint64_t sent = 0;
  std::uint64_t granted = kWindowBytes;
  bool ended = false;

  void take(const Frame& frame) {
    require(!ended);
    sent += frame.payload.size();
    require(sent <= granted);
    ended = frame.ends_channel();
  }
};

class Peers {
 public:
  void to_client(const Bytes& bytes) {
    const auto frame = sane(bytes, kClientStream);
    switch (frame.type) {
      case FrameType::started:
        require(!started_);
        started_ = true;
        return;
      case FrameType::data:
        require(frame.channel_number() != static_cast<std::uint8_t>(Channel::in));
        return to_client_[frame.channel_number()].take(frame);
      case FrameType::credit:
        return granted(from_client_, frame, Channel::in);
      case FrameType::exit:
        require(Exit::decode(frame.payload).ok());
        require(to_client_[1].ended && to_client_[2].ended);
        exited_ = true;
        return;
      default:
        std::abort();
    }
  }
  void to_agent(const Bytes& bytes) {
    const auto frame = sane(bytes, kAgentStream);
    switch (frame.type) {
      case FrameType::exec:
        require(!dispatched_ && Exec::decode(frame.payload).ok());
        dispatched_ = true;
        return;
      case FrameType::data:
        require(dispatched_ && frame.channel_number() == static_cast<std::uint8_t>(Channel::in));
        return to_agent_.take(frame);
      case FrameType::credit:
        require(frame.channel_number() != static_cast<std::uint8_t>(Channel::in));
        return granted(from_agent_[frame.channel_number()], frame, static_cast<Channel>(frame.channel_number()));
      case FrameType::signal:
        require(started_ && Signal::decode(frame.payload).ok());
        return;
      case FrameType::resize:
        require(started_ && Resize::decode(frame.payload).ok());
        return;
      case FrameType::kill:
        require(dispatched_);
        return;
      default:
        std::abort();
    }
  }
  // Before the session sees it: what the sides say, for as long as it is taken.
  void client_says(const Frame& frame) {
    if (frame.type == FrameType::data) {
      from_client_.sent += frame.payload.size();
    } else if (frame.type == FrameType::credit && frame.channel_number() != 0) {
      grants(to_client_[frame.channel_number()], frame);
    }
  }
  void agent_says(const Frame& frame) {
    if (frame.type == FrameType::data && frame.channel_number() != 0) {
      from_agent_[frame.channel_number()].sent += frame.payload.size();
    } else if (frame.type == FrameType::credit && frame.channel_number() == 0) {
      grants(to_agent_, frame);
    }
  }
  [[nodiscard]] bool exited() const { return exited_; }

 private:
  Frame sane(const Bytes& bytes, std::uint32_t stream) const {
    auto frame = parsed(bytes);
    require(frame && frame->stream == stream && !exited_);
    return std::move(*frame);
  }
  // A peer earns credit only for what it has sent.
  static void granted(Flow& flow, const Frame& frame, Channel channel) {
    const auto credit = Credit::decode(frame.payload);
    require(credit.ok() && frame.channel_number() == static_cast<std::uint8_t>(channel));
    flow.granted += credit->bytes;
    require(flow.granted <= flow.sent + kWindowBytes);
  }
  static void grants(Flow& flow, const Frame& frame) {
    if (const auto credit = Credit::decode(frame.payload); credit.ok()) {
      flow.granted += credit->bytes;
    }
  }

  std::array<Flow, 3> to_client_;
  std::array<Flow, 3> from_agent_;
  Flow to_agent_;
  Flow from_client_;
  bool dispatched_ = false;
  bool started_ = false;
  bool exited_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Peers peers;
  Exec exec;
  exec.argv = {"true"};
  exec.timeout_ms = 1;
  pyro::supervisor::Session session(
      kClientStream, kAgentStream, exec,
      {[&](const Bytes& bytes) { peers.to_client(bytes); }, [&](const Bytes& bytes) { peers.to_client(bytes); },
       [&](const Bytes& bytes) { peers.to_agent(bytes); }, [&](const Bytes& bytes) { peers.to_agent(bytes); }});
  ByteReader in(ByteView(reinterpret_cast<const std::byte*>(data), size));
  while (!in.finished() && !in.failed() && !session.finished()) {
    const std::uint8_t who = in.u8();
    if (who > 1) {
      // In the order that a supervisor keeps.
      if (who == 2 && !session.dispatched()) {
        session.dispatch();
      } else if (who == 3 && session.dispatched()) {
        session.time_out();
      } else if (who == 4 && session.timed_out()) {
        session.give_up();
      }
      continue;
    }
    const auto type = static_cast<FrameType>(in.u8());
    const std::uint8_t flags = in.u8();
    const std::size_t bytes = in.u16();
    const Bytes filler(type == FrameType::data ? bytes : 0, std::byte{'x'});
    const ByteView payload = type == FrameType::data ? ByteView(filler) : in.raw(bytes);
    const auto frame = parsed(encode_frame(type, who == 0 ? kClientStream : kAgentStream, flags, payload));
    if (in.failed() || !frame) {
      break;
    }
    who == 0 ? peers.client_says(*frame) : peers.agent_says(*frame);
    if (!(who == 0 ? session.handle_client(*frame) : session.handle_agent(*frame)).ok()) {
      break;
    }
  }
  require(session.finished() == peers.exited());
  return 0;
}
