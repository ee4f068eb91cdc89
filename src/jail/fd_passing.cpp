#include "jail/fd_passing.hpp"

#include "base/io.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>

namespace pyro::jail {

namespace {
using ControlBuffer = std::array<char, CMSG_SPACE(kMaxPassedFds * sizeof(int))>;
}

base::Status send_with_fds(int socket, base::ByteView bytes, std::span<const int> fds) {
  if (bytes.empty() || fds.size() > kMaxPassedFds) {
    return base::make_error(PYRO_ERROR_INTERNAL, "cannot pass {} descriptors with {} bytes", fds.size(), bytes.size());
  }
  alignas(cmsghdr) ControlBuffer control{};
  iovec data{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) {
    return base::errno_error(errno, "cannot send descriptors");
  }
  return base::write_all(socket, bytes.subspan(static_cast<std::size_t>(sent)), "to a socket");
}

base::Result<std::size_t> receive_with_fds(int socket, std::span<std::byte> buffer, std::vector<base::Fd>& fds) {
  alignas(cmsghdr) ControlBuffer control{};
  iovec data{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = -1;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    return base::errno_error(errno, "cannot receive from a socket");
  }
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the peer passed more than {} descriptors", kMaxPassedFds);
  }
  return static_cast<std::size_t>(got);
}

}  // namespace pyro::jail
