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
  begin_ = 0;
  size_ = count > 0 ? static_cast<std::size_t>(count) : 0;
  at_end_ = count <= 0;
}

void Input::push(RunOperation& operation) {
  if (!open_) {
    return;
  }
  try {
    while (begin_ < size_) {
      const std::size_t taken = operation.write_stdin(std::string_view(buffer_.data() + begin_, size_ - begin_));
      if (taken == 0) {
        return;
      }
      begin_ += taken;
    }
    if (at_end_) {
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
