// What disks do with files. preadv and pwritev to their end: short transfers, interruptions and the kernel's limit on
// pieces are dealt with.
// Thread rule: free functions.
#pragma once

#include <cstdint>
#include <span>

#include <sys/uio.h>

namespace pyro::devices {

/// Fills all pieces from `offset` on. 0 or an errno; the end of the file is EIO. `pieces` are changed.
int read_fully(int fd, std::uint64_t offset, std::span<iovec> pieces) noexcept;
/// Writes all pieces. 0 or an errno. `pieces` are changed.
int write_fully(int fd, std::uint64_t offset, std::span<iovec> pieces) noexcept;

/// Makes a part of a file a hole; the file keeps its size. 0 or an errno; EOPNOTSUPP where the file system has no holes.
int punch_hole(int fd, std::uint64_t offset, std::uint64_t length) noexcept;

}  // namespace pyro::devices
