#include "base/fd.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pyro::base {

void Fd::reset(int fd) noexcept {
  if (fd_ >= 0) {
    const int saved = errno;
    // Linux frees the descriptor even when close() is interrupted: never retried.
    ::close(fd_);
    errno = saved;
  }
  fd_ = fd;
}

Result<Fd> Fd::duplicate() const {
  return duplicate_fd(fd_);
}

Result<Fd> duplicate_fd(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) {
    return errno_error(errno, "cannot duplicate a file descriptor");
  }
  return Fd(copy);
}

Result<FdPair> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return errno_error(errno, "cannot make a pipe");
  }
  return FdPair{Fd(ends[0]), Fd(ends[1])};
}

Result<FdPair> make_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return errno_error(errno, "cannot make a socket pair");
  }
  return FdPair{Fd(ends[0]), Fd(ends[1])};
}

Result<Fd> make_memfd(const char* name) {
  const int fd = ::memfd_create(name, MFD_CLOEXEC);
  if (fd < 0) {
    return errno_error(errno, "cannot create an anonymous memory file");
  }
  return Fd(fd);
}

Status set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return errno_error(errno, "cannot make a descriptor non-blocking");
  }
  return success();
}

}  // namespace pyro::base
