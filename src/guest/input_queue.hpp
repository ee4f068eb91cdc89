// Stdin of one command on its way from the link into the pipe: bounded by the credit that the agent gave.
// Pure code: no I/O. Thread rule: one thread.
#pragma once

#include "wire/frame.hpp"

#include <deque>
#include <string_view>

namespace pyro::guest {

class InputQueue {
 public:
  /// A data frame arrived. False if the host broke the rules: more than its credit, or data after the end.
  [[nodiscard]] bool push(base::Bytes bytes, bool end);
  /// What stands for the end of the input, to be written behind all of it (borrowed: a literal). Costs and earns
  /// no credit.
  void append_end(std::string_view mark) { end_mark_ = mark; }
  /// What to write next; empty if nothing waits. Valid until the next call.
  [[nodiscard]] base::ByteView front() const noexcept;
  /// `written` bytes of front() are in the pipe. Gives the credit to grant now, often none.
  [[nodiscard]] std::uint32_t advance(std::size_t written);
  /// The reader is gone: what waits and what is still to come is thrown away, but goes on earning credit,
  /// so that the host never blocks on it. Gives the credit to grant now.
  [[nodiscard]] std::uint32_t discard();
  /// All input has come and was written or thrown away.
  [[nodiscard]] bool finished() const noexcept { return ended_ && chunks_.empty() && end_mark_.empty(); }
  /// The last byte that went into the pipe was the end of a line, or none went.
  [[nodiscard]] bool at_line_start() const noexcept { return at_line_start_; }

 private:
  std::deque<base::Bytes> chunks_;
  std::size_t offset_ = 0;
  wire::ReceiveCredit credit_;
  std::string_view end_mark_;
  bool ended_ = false;
  bool at_line_start_ = true;
};

}  // namespace pyro::guest
