#include "vmm/eventfd.hpp"

#include <cerrno>
#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

namespace pyro::vmm {

base::Result<base::Fd> make_eventfd() {
  base::Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) {
    return base::errno_error(errno, "cannot make an eventfd");
  }
  return fd;
}

void signal_eventfd(int fd) noexcept {
  const std::uint64_t one = 1;
  while (::write(fd, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

}  // namespace pyro::vmm
