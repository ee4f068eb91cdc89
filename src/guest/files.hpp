// Small file helpers of the agent. Whatever lies in the guest's root file system may have been placed
// there by a hostile command: it is reached with the *_in functions only, which resolve paths below a
// directory as if that were "/", and never follow a symbolic link out of it.
// Thread rule: functions without state.
#pragma once

#include "base/fd.hpp"

#include <string>
#include <string_view>

#include <sys/types.h>

namespace pyro::guest {

/// Writes `text` to an existing file in one write, as kernel interfaces want it.
base::Status write_file(const std::string& path, std::string_view text);
base::Status write_file_at(int directory, const std::string& path, std::string_view text);
/// A whole file of a kernel interface; empty if it cannot be read.
std::string read_file_at(int directory, const std::string& path);

/// Opens `path` below `root`. Never blocks on a FIFO, never becomes a controlling terminal.
base::Result<base::Fd> open_in(int root, const std::string& path, int flags, mode_t mode = 0);
/// The directory `path` (one name) below `root`, made if it is missing.
base::Result<base::Fd> directory_in(int root, const std::string& path, mode_t mode);
/// Puts `content` at `path` below `root`, in place of what is there.
base::Status put_file_in(int root, const std::string& path, std::string_view content, mode_t mode);
/// A regular file below `root`, cut off at `max_bytes`; empty if there is none.
std::string read_file_in(int root, const std::string& path, std::size_t max_bytes);

/// mount(2) with an error that names the target.
base::Status mount_on(const char* source, const std::string& target, const char* type, unsigned long flags,
                      const char* options = nullptr);
/// A path that names an open descriptor, for calls that take paths only.
std::string fd_path(int fd);

}  // namespace pyro::guest
