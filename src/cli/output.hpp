// An output channel of this program (stdout or stderr), written byte for byte without blocking the
// loop: a reader that stops reading must not keep signals from being seen.
#pragma once

#include <poll.h>

#include <cstddef>
#include <string_view>

namespace pyro::cli {

class Output {
 public:
  /// `fd` stays open and keeps its flags: they belong to everyone who shares it.
  explicit Output(int fd);
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output();

  /// Sets what is to be written next; borrowed until pending() is false. Nothing may be pending.
  void offer(std::string_view bytes) { pending_ = bytes; }
  [[nodiscard]] bool pending() const noexcept { return !pending_.empty(); }
  void drop() noexcept { pending_ = {}; }

  /// Writes what can be written without waiting. Gives 0, or the errno that ended it.
  int flush();

  /// To wait until flush() can go on.
  [[nodiscard]] pollfd poll_entry() const noexcept { return {fd_, POLLOUT, 0}; }

 private:
  /// How a write is kept from blocking.
  enum class Mode {
    /// It cannot block for long: a file, or a descriptor of our own in non-blocking mode.
    direct,
    /// After poll() said that there is room for a small piece.
    polled
  };

  int fd_;
  int own_fd_ = -1;
  Mode mode_ = Mode::direct;
  std::string_view pending_;
};

}  // namespace pyro::cli
