#include "guest/console.hpp"

#include <cstring>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

namespace pyro::guest {

void console_line(std::string_view message) noexcept {
  const int fd = ::open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) {
    return;
  }
  const std::string_view prefix = "pyro-agent: ";
  const auto part = [](std::string_view text) { return iovec{const_cast<char*>(text.data()), text.size()}; };
  const iovec parts[] = {part(prefix), part(message), part("\n")};
  [[maybe_unused]] const ssize_t put = ::writev(fd, parts, 3);
  ::close(fd);
}

}  // namespace pyro::guest
