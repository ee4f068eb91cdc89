// Standard input of this program, on its way to a command's standard input.
#pragma once

#include "cli/detach_keys.hpp"

#include <pyro/pyro.hpp>

#include <poll.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>

namespace pyro::cli {

class Input {
 public:
  /// Not `enabled`: nothing is ever read.
  explicit Input(bool enabled) : open_(enabled) {}

  /// From here on it is what somebody types into a terminal for a command that has one as well: these keys detach, and
  /// its end, which says that the terminal has hung up, is not the command's.
  void enter_terminal(DetachKeys keys) {
    keys_ = std::move(keys);
    is_terminal_ = true;
  }
  /// Nothing is read any more.
  void close() noexcept { open_ = false; }
  [[nodiscard]] bool is_open() const noexcept { return open_; }
  [[nodiscard]] bool detached() const noexcept { return detached_; }
  [[nodiscard]] bool hung_up() const noexcept { return is_terminal_ && at_end_; }

  /// True: wait for poll_entry(), then call read().
  [[nodiscard]] bool wants_to_read() const noexcept { return open_ && !at_end_ && !detached_ && pending_.empty(); }
  [[nodiscard]] static pollfd poll_entry() noexcept { return {0, POLLIN, 0}; }

  /// Reads once; waits if there is nothing to read. A failed read is said on stderr and ends the input.
  void read();

  /// Hands on what was read, as far as the command takes it, and then the end.
  void push(RunOperation& operation);

 private:
  static constexpr std::size_t kBufferBytes = 65536;

  bool open_;
  bool at_end_ = false;
  bool is_terminal_ = false;
  bool detached_ = false;
  DetachKeys keys_;
  std::string typed_;
  /// Read, and not handed on: in buffer_ or in typed_.
  std::string_view pending_;
  std::array<char, kBufferBytes> buffer_;
};

}  // namespace pyro::cli
