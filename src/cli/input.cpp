#include "cli/input.hpp"

#include "cli/report.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

namespace pyro::cli {

void Input::read() {
  const ssize_t count = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());
  if (count < 0) {
    if (errno == EINTR || errno == EAGAIN) {
      return;
    }
    // EIO is how a terminal says that it hung up, or that we are in the background for good.
    if (errno != EIO) {
      say(fmt::format("cannot read standard input: {}", std::strerror(errno)));
    }
  }
  at_end_ = count <= 0;
  pending_ = std::string_view(buffer_.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
  if (is_terminal_) {
    typed_.clear();
    detached_ = keys_.filter(pending_, typed_);
    pending_ = typed_;
  }
}

void Input::push(RunOperation& operation) {
  if (!open_) {
    return;
  }
  try {
    while (!pending_.empty()) {
      const std::size_t taken = operation.write_stdin(pending_);
      if (taken == 0) {
        return;
      }
      pending_.remove_prefix(taken);
    }
    if (at_end_ && !is_terminal_) {
      operation.close_stdin();
      open_ = false;
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::state) {
      throw;
    }
    open_ = false;  // the command has ended, and nobody reads any more
  }
}

}  // namespace pyro::cli
