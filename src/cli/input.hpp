// Standard input of this program, on its way to a command's standard input.
#pragma once

#include <pyro/pyro.hpp>

#include <poll.h>

#include <array>
#include <cstddef>

namespace pyro::cli {

class Input {
 public:
  /// Not `enabled`: nothing is ever read.
  explicit Input(bool enabled) : open_(enabled) {}

  /// True: wait for poll_entry(), then call read().
  [[nodiscard]] bool wants_to_read() const noexcept { return open_ && !at_end_ && size_ == begin_; }
  [[nodiscard]] static pollfd poll_entry() noexcept { return {0, POLLIN, 0}; }

  /// Reads once; waits if there is nothing to read. A failed read is said on stderr and ends the input.
  void read();

  /// Hands on what was read, as far as the command takes it, and then the end.
  void push(RunOperation& operation);

 private:
  static constexpr std::size_t kBufferBytes = 65536;

  bool open_;
  bool at_end_ = false;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
  std::array<char, kBufferBytes> buffer_;
};

}  // namespace pyro::cli
