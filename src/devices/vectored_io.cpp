#include "devices/vectored_io.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>

#include <fcntl.h>

namespace pyro::devices {

namespace {

template <typename Transfer>
int transfer_fully(std::uint64_t offset, std::span<iovec> pieces, Transfer transfer) noexcept {
  while (true) {
    while (!pieces.empty() && pieces.front().iov_len == 0) {
      pieces = pieces.subspan(1);
    }
    if (pieces.empty()) {
      return 0;
    }
    const int count = static_cast<int>(std::min<std::size_t>(pieces.size(), IOV_MAX));
    const ssize_t moved = transfer(pieces.data(), count, static_cast<off_t>(offset));
    if (moved < 0 && errno == EINTR) {
      continue;
    }
    if (moved <= 0) {
      return moved < 0 ? errno : EIO;
    }
    offset += static_cast<std::uint64_t>(moved);
    for (auto left = static_cast<std::size_t>(moved); left > 0;) {
      iovec& piece = pieces.front();
      const std::size_t step = std::min(left, piece.iov_len);
      piece.iov_base = static_cast<char*>(piece.iov_base) + step;
      piece.iov_len -= step;
      left -= step;
      if (piece.iov_len == 0) {
        pieces = pieces.subspan(1);
      }
    }
  }
}

}  // namespace

int read_fully(int fd, std::uint64_t offset, std::span<iovec> pieces) noexcept {
  return transfer_fully(offset, pieces,
                        [fd](const iovec* from, int count, off_t at) { return ::preadv(fd, from, count, at); });
}

int write_fully(int fd, std::uint64_t offset, std::span<iovec> pieces) noexcept {
  return transfer_fully(offset, pieces,
                        [fd](const iovec* from, int count, off_t at) { return ::pwritev(fd, from, count, at); });
}

int punch_hole(int fd, std::uint64_t offset, std::uint64_t length) noexcept {
  return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                     static_cast<off_t>(length)) == 0
             ? 0
             : errno;
}

}  // namespace pyro::devices
