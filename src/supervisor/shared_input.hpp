// SharedInput: the input of one command, which any number of clients may write to. What they write goes to the agent in
// the order of its arrival; each has a window of its own, so that none can use up another's. Whoever closes it, closes it
// for all: what comes after is dropped, and granted for.
// Pure code: no I/O. Thread rule: one thread at a time.
#pragma once

#include "wire/messages.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>

namespace pyro::supervisor {

class SharedInput {
 public:
  /// Who writes; the owner chooses the numbers.
  using Source = std::uint64_t;

  struct Sinks {
    /// A data chunk (at most kMaxDataBytes), and whether it is the last.
    std::function<void(base::ByteView, bool end)> forward;
    /// Credit that is due to a source.
    std::function<void(Source, std::uint32_t bytes)> grant;
  };

  explicit SharedInput(Sinks sinks) : sinks_(std::move(sinks)) {}

  void add(Source source) { sources_[source]; }
  /// It has gone. What it wrote still flows.
  void remove(Source source) { sources_.erase(source); }
  [[nodiscard]] bool has_sources() const noexcept { return !sources_.empty(); }

  /// A source wrote; with `end` it closes the input. An error if it had no credit for it, wrote on after its own end, or
  /// is none.
  base::Status receive(Source source, base::ByteView bytes, bool end);
  /// The agent granted credit. An error if it granted more than the window.
  base::Status grant(std::uint32_t bytes);
  /// Lets chunks flow; before this they are held.
  void open();
  /// Nobody is going to write any more: what is held still flows, then the channel ends.
  void end();
  /// The command is gone: whatever is held or comes is dropped.
  void discard();

  /// Not closed: what is written reaches the command.
  [[nodiscard]] bool is_open() const noexcept { return !closed_ && !discarding_; }
  /// Bytes that wait for credit.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_.size() - held_offset_; }

 private:
  struct Writer {
    wire::ReceiveCredit credit;
    bool ended = false;
  };
  /// Whose the held bytes are, in their order.
  struct Share {
    Source source = 0;
    std::size_t size = 0;
  };

  void pump();
  void consumed(Source source, std::size_t bytes);

  Sinks sinks_;
  std::map<Source, Writer> sources_;
  wire::SendCredit send_credit_;
  base::Bytes held_;
  std::size_t held_offset_ = 0;
  std::deque<Share> shares_;
  bool open_ = false;
  bool closed_ = false;
  bool finished_ = false;
  bool discarding_ = false;
};

}  // namespace pyro::supervisor
