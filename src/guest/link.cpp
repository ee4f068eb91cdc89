#include "guest/link.hpp"

#include <array>
#include <cerrno>

#include <unistd.h>

namespace pyro::guest {

namespace {

// The port hands out one of its 4 KiB buffers per read. Reading goes on for this much before the frames
// in it are handled, so that a host that never stops sending cannot keep the agent from anything else.
constexpr std::size_t kMaxReceiveBytes = 64 * 1024;

}  // namespace

base::Result<bool> Link::receive() {
  std::array<std::byte, 32 * 1024> buffer;
  std::size_t total = 0;
  while (total < kMaxReceiveBytes) {
    const ssize_t got = ::read(port_.get(), buffer.data(), buffer.size());
    if (got > 0) {
      parser_.feed(base::ByteView(buffer.data(), static_cast<std::size_t>(got)));
      total += static_cast<std::size_t>(got);
    } else if (got == 0) {
      // The port reads as ended while the host has its end closed.
      return total > 0;
    } else if (errno == EAGAIN) {
      return true;
    } else if (errno != EINTR) {
      return base::errno_error(errno, "cannot read the console port");
    }
  }
  return true;
}

base::Status Link::flush() {
  while (!queue_.empty()) {
    const base::ByteView next = queue_.front();
    const ssize_t put = ::write(port_.get(), next.data(), next.size());
    if (put > 0) {
      queue_.advance(static_cast<std::size_t>(put));
    } else if (put == 0 || errno == EAGAIN) {
      return base::success();
    } else if (errno != EINTR) {
      return base::errno_error(errno, "cannot write to the console port");
    }
  }
  return base::success();
}

}  // namespace pyro::guest
