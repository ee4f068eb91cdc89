// Holes of files: long runs of zeros that take no space on the disk, and that whoever looks for them need not read.
// Thread rule: any.
#pragma once

#include <cstdint>

namespace pyro::image {

/// Makes a hole of each 64 KiB of zeros, counted from the start, of a file of `size` bytes. What is read from it stays the
/// same. Best effort: not every file system has holes. `fd` is open for reading and writing.
void dig_holes(int fd, std::uint64_t size) noexcept;

}  // namespace pyro::image
