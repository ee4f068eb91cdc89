// ChannelRelay: carries one channel of one command from one link to the other, with credit on both
// sides. What it holds is bounded by the window that it granted to the sender.
// Pure code: no I/O. Thread rule: one thread at a time.
#pragma once

#include "wire/messages.hpp"

#include <functional>

namespace pyro::supervisor {

class ChannelRelay {
 public:
  struct Sinks {
    /// A data chunk (at most kMaxDataBytes), and whether it is the last.
    std::function<void(base::ByteView, bool end)> forward;
    /// Credit that is due to the sender.
    std::function<void(std::uint32_t bytes)> grant;
  };

  explicit ChannelRelay(Sinks sinks) : sinks_(std::move(sinks)) {}

  /// The sender sent bytes. An error if it had no credit for them or had ended the channel.
  base::Status receive(base::ByteView bytes, bool end);
  /// The receiver granted credit. An error if it granted more than the window.
  base::Status grant(std::uint32_t bytes);
  /// Lets chunks flow; before this they are held.
  void open();
  /// The sender is gone: what is held still flows, then the channel ends.
  void end();
  /// The receiver is gone: whatever is held or comes is dropped, and the sender is granted for it.
  void discard();
  /// Bytes that wait for the receiver's credit.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_.size() - held_offset_; }
  /// Memory that it has taken for what it holds.
  [[nodiscard]] std::size_t memory_bytes() const noexcept { return held_.capacity(); }
  /// The last chunk was forwarded.
  [[nodiscard]] bool finished() const noexcept { return finished_; }

 private:
  void pump();
  void consumed(std::uint32_t bytes);

  Sinks sinks_;
  wire::ReceiveCredit receive_credit_;
  wire::SendCredit send_credit_;
  base::Bytes held_;
  std::size_t held_offset_ = 0;
  bool open_ = false;
  bool end_received_ = false;
  bool finished_ = false;
  bool discarding_ = false;
};

}  // namespace pyro::supervisor
