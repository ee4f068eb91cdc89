// One non-blocking read from a socket of QEMU's.
#pragma once

#include "base/bytes.hpp"

#include <array>
#include <cerrno>

#include <unistd.h>

namespace pyro::machine {

enum class ReadOutcome { data, nothing_yet, ended };

/// Reads once and hands what came to `take`.
template <typename Take>
ReadOutcome read_once(int fd, Take&& take) {
  std::array<std::byte, 16384> chunk;
  const ssize_t got = ::read(fd, chunk.data(), chunk.size());
  if (got > 0) {
    take(base::ByteView(chunk).first(static_cast<std::size_t>(got)));
    return ReadOutcome::data;
  }
  return got < 0 && (errno == EAGAIN || errno == EINTR) ? ReadOutcome::nothing_yet : ReadOutcome::ended;
}

}  // namespace pyro::machine
