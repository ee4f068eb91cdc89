#include "cli/output.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include <fmt/format.h>

namespace pyro::cli {

Output::Output(int fd) : fd_(fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) {
    return;
  }
  if (S_ISFIFO(status.st_mode)) {
    // A pipe opened anew has flags of its own. Where that is not possible, small pieces do.
    own_fd_ = ::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (own_fd_ >= 0) {
      fd_ = own_fd_;
    } else {
      mode_ = Mode::polled;
    }
  } else if (S_ISSOCK(status.st_mode) || ::isatty(fd) == 1) {
    mode_ = Mode::polled;
  }
}

Output::~Output() {
  if (own_fd_ >= 0) {
    ::close(own_fd_);
  }
}

int Output::flush() {
  while (!pending_.empty()) {
    std::size_t size = pending_.size();
    if (mode_ == Mode::polled) {
      pollfd room = poll_entry();
      if (::poll(&room, 1, 0) <= 0) {
        return 0;
      }
      size = std::min<std::size_t>(size, PIPE_BUF);
    }
    const ssize_t written = ::write(fd_, pending_.data(), size);
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno == EAGAIN ? 0 : errno;
    }
    pending_.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace pyro::cli
