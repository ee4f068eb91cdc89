// Frames: what travels between client and supervisor, and between supervisor and agent.
//
//   u32 payload size | u32 stream | u8 type | u8 flags | u16 reserved, 0 | payload
//
// All numbers are little-endian. Stream 0 is the link itself; every other stream is one command.
// Both ends take the other one for hostile: a FrameParser holds at most one frame, sizes are capped
// by type before anything is allocated, and a frame that breaks a rule ends the link.
// Pure code: no I/O. Thread rule: an object belongs to one thread at a time.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <deque>
#include <optional>

namespace pyro::wire {

/// The versions of this protocol that this build speaks; a link uses the highest common one.
inline constexpr std::uint16_t kVersionMin = 1;
inline constexpr std::uint16_t kVersionMax = 1;

inline constexpr std::size_t kHeaderBytes = 12;
/// One data frame with its header is at most what Linux's virtio console writes in one go (32 KiB).
inline constexpr std::size_t kMaxDataBytes = 32 * 1024 - kHeaderBytes;
/// Arguments and environment of one command may fill 1 MiB together, as they travel (Exec::argument_bytes); the
/// rest of the message is small.
inline constexpr std::size_t kMaxArgumentBytes = 1024 * 1024;
inline constexpr std::size_t kMaxControlBytes = kMaxArgumentBytes + 64 * 1024;
/// What a sender may have under way per stream and channel without hearing from the receiver.
inline constexpr std::uint32_t kWindowBytes = 256 * 1024;

/// An operation on files (file_messages.hpp): two paths and a few numbers.
inline constexpr std::size_t kMaxFileRequestBytes = 16 * 1024;

/// Signals that a supervisor keeps for a command that has not started: more make no sense.
inline constexpr std::size_t kMaxEarlySignals = 16;

enum class FrameType : std::uint8_t {
  // The link (stream 0).
  hello = 1,        // agent → supervisor, supervisor → client: first frame
  personalise = 2,  // supervisor → agent: first answer
  ready = 3,        // agent → supervisor; supervisor → client
  failed = 4,       // the link cannot go on: why
  ping = 5,
  pong = 6,
  power_off = 7,    // supervisor → agent
  guest_reset = 8,  // agent → supervisor: a command asked the guest to reboot or power off
  configure = 16,   // client → supervisor: first frame, with descriptors
  progress = 17,    // supervisor → client
  status_request = 18,
  status = 19,
  log = 20,      // supervisor → client
  attach = 21,   // client → supervisor: first frame of a client that comes later
  stop = 22,     // client → supervisor: end the VM cleanly
  stopped = 23,  // supervisor → client: it has ended, as a client asked for; the last frame
  set_ttl = 24,  // client → supervisor: how long the VM goes on without work
  discard = 25,  // client → supervisor: end the VM at once, whatever is lost
  keep = 26,     // first client → supervisor: from here on the VM goes on without it
  // One command (its stream).
  exec = 32,
  started = 33,
  data = 34,    // flags: channel, end
  credit = 35,  // flags: channel
  signal = 36,
  resize = 37,
  kill = 38,
  exit = 39,
  dispatched = 40,  // supervisor → client: from here on the command may have effects
  // A client that attaches to one that runs (attach_messages.hpp).
  join = 44,     // client → supervisor
  joined = 45,   // supervisor → client
  watch = 46,    // client → supervisor
  printed = 47,  // supervisor → client
};

/// The channels of a command's stream, in the low bits of a data or credit frame's flags.
enum class Channel : std::uint8_t { in = 0, out = 1, err = 2 };
inline constexpr std::uint8_t kChannelMask = 0x03;
/// In a data frame: nothing comes after this on the channel.
inline constexpr std::uint8_t kFlagEnd = 0x80;

struct Frame {
  FrameType type{};
  std::uint32_t stream = 0;
  std::uint8_t flags = 0;
  base::Bytes payload;

  [[nodiscard]] std::uint8_t channel_number() const noexcept { return flags & kChannelMask; }
  [[nodiscard]] bool ends_channel() const noexcept { return (flags & kFlagEnd) != 0; }
};

/// Bytes of a frame as they travel.
base::Bytes encode_frame(FrameType type, std::uint32_t stream, std::uint8_t flags, base::ByteView payload);

/// Cuts a byte stream into frames.
class FrameParser {
 public:
  /// Appends received bytes. Call next() until it gives nothing before feeding more.
  void feed(base::ByteView bytes);
  /// The next whole frame, nothing if more bytes are needed, or PYRO_ERROR_INTERNAL if the peer broke
  /// the format; after that the parser is dead.
  base::Result<std::optional<Frame>> next();

 private:
  base::Bytes buffer_;
  std::size_t consumed_ = 0;
  bool dead_ = false;
};

/// Frames to send: control frames overtake data frames that wait, so a full data queue never delays
/// a signal or a kill by more than the frame that is being written.
/// Data of one channel stays in order, and so do control frames among each other. Frames that must
/// not overtake data (exit) are queued as data.
class FrameQueue {
 public:
  void push_control(base::Bytes frame) {
    pending_control_ += frame.size();
    push(control_, std::move(frame));
  }
  void push_data(base::Bytes frame) { push(data_, std::move(frame)); }
  [[nodiscard]] bool empty() const noexcept { return current_.empty() && control_.empty() && data_.empty(); }
  /// Bytes queued and not yet written.
  [[nodiscard]] std::size_t pending_bytes() const noexcept { return pending_; }
  /// Of these, bytes of control frames that front() has not offered yet: they carry no credit, so only this tells
  /// a sender that nobody reads.
  [[nodiscard]] std::size_t pending_control_bytes() const noexcept { return pending_control_; }
  /// What to write next, small frames together; empty if nothing is queued. Valid until advance() or a push.
  base::ByteView front();
  /// `written` bytes of front() were sent.
  void advance(std::size_t written);

 private:
  // As much as one buffer of the guest's console port takes. A write costs the receiver a wake-up, and the guest an
  // interrupt.
  static constexpr std::size_t kGatheredBytes = 4096;

  void push(std::deque<base::Bytes>& queue, base::Bytes frame);
  // The next frame, behind what current_ has.
  void take_next();

  std::deque<base::Bytes> control_;
  std::deque<base::Bytes> data_;
  base::Bytes current_;
  std::size_t current_offset_ = 0;
  std::size_t pending_ = 0;
  std::size_t pending_control_ = 0;
};

/// Sender's side of flow control on one channel: how much may still be sent.
class SendCredit {
 public:
  [[nodiscard]] std::uint32_t available() const noexcept { return available_; }
  /// The receiver granted `bytes` more. False (a broken peer) if that exceeds the window.
  [[nodiscard]] bool grant(std::uint32_t bytes) noexcept {
    if (bytes > kWindowBytes - available_) {
      return false;
    }
    available_ += bytes;
    return true;
  }
  void spend(std::uint32_t bytes) noexcept { available_ -= bytes; }

 private:
  std::uint32_t available_ = kWindowBytes;
};

/// Receiver's side: notices a sender that overruns, and says when to grant again.
class ReceiveCredit {
 public:
  /// Bytes arrived. False (a broken peer) if they were not covered by credit.
  [[nodiscard]] bool receive(std::uint32_t bytes) noexcept {
    if (bytes > allowed_) {
      return false;
    }
    allowed_ -= bytes;
    return true;
  }
  /// Bytes were consumed. Gives what to grant now: nothing until a quarter of the window is due, so
  /// that small reads do not cost a frame each.
  [[nodiscard]] std::uint32_t consume(std::uint32_t bytes) noexcept {
    due_ += bytes;
    if (due_ < kWindowBytes / 4) {
      return 0;
    }
    allowed_ += due_;
    return std::exchange(due_, 0);
  }

 private:
  std::uint32_t allowed_ = kWindowBytes;
  std::uint32_t due_ = 0;
};

}  // namespace pyro::wire
