// Whole-buffer reads and writes and small file helpers. All retry EINTR.
#pragma once

#include "base/bytes.hpp"
#include "base/fd.hpp"

#include <string>

namespace pyro::base {

/// Opens `path` with O_CLOEXEC added. `mode` counts only with O_CREAT.
Result<Fd> open_file(const std::string& path, int flags, unsigned mode = 0);
/// The whole of a file, refused (PYRO_ERROR_LIMIT) beyond `max_bytes`.
Result<std::string> read_file(const std::string& path, std::size_t max_bytes);
/// The rest of what `fd` gives until end of file, refused beyond `max_bytes`.
Result<std::string> read_all(int fd, std::size_t max_bytes, const std::string& what);
/// Up to `size` bytes of a file from `offset` on; fewer at its end. Does not use the file's position.
Result<Bytes> read_range(int fd, std::uint64_t offset, std::size_t size, const std::string& what);
/// Writes all of `bytes`. Never raises SIGPIPE on sockets; on pipes the caller's disposition rules.
Status write_all(int fd, ByteView bytes, const std::string& what);
/// Puts `content` at `path` for every reader at once: temporary file, fsync, rename.
Status write_file_atomically(const std::string& path, std::string_view content, unsigned mode);

/// The names in a directory survive a loss of power from here on, where the file system has a way for that.
Status sync_directory(const std::string& path);
/// `mkdir -p`, new directories with `mode`.
Status make_directories(const std::string& path, unsigned mode);

}  // namespace pyro::base
