#include "image/holes.hpp"

#include "base/io.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include <fcntl.h>
#include <unistd.h>

namespace pyro::image {

namespace {

// Shorter ones would break a file into pieces for little.
constexpr std::size_t kRunBytes = 64 * 1024;

bool is_zero(base::ByteView bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

void dig_holes(int fd, std::uint64_t size) noexcept {
  std::array<std::byte, kRunBytes> buffer;
  for (std::uint64_t offset = 0; size - offset >= kRunBytes; offset += kRunBytes) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (got != static_cast<ssize_t>(kRunBytes)) {
      return;
    }
    if (!is_zero(buffer)) {
      continue;
    }
    if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), kRunBytes) != 0) {
      return;
    }
  }
}

}  // namespace pyro::image
