// The values of the C++ API for files of a task. Include <pyro/pyro.hpp>.
//
// Licensed under the Apache License, Version 2.0.
#pragma once

#include <pyro/pyro.h>
#include <pyro/types.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace pyro {

/// What a path in a guest is.
enum class FileType : std::uint32_t {
  /// A device, a FIFO, a socket.
  other = PYRO_FILE_OTHER,
  file = PYRO_FILE_REGULAR,
  directory = PYRO_FILE_DIRECTORY,
  symlink = PYRO_FILE_SYMLINK
};

/// What became of a path since the task was made.
enum class FileChange : std::uint32_t {
  /// Not asked for.
  none = PYRO_FILE_NOT_COMPARED,
  added = PYRO_FILE_ADDED,
  changed = PYRO_FILE_CHANGED,
  removed = PYRO_FILE_REMOVED
};

/// One file of a guest. Strings are bytes without an encoding.
struct FileInfo {
  /// Below the directory that was asked for; of stat_file() as it was asked for.
  std::string path{};
  /// A symbolic link is told as one, not as what it leads to.
  FileType type = FileType::other;
  /// Of a symbolic link.
  std::string target{};
  /// Only from diff_task().
  FileChange change = FileChange::none;
  /// Permission bits.
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  /// Of a regular file.
  std::uint64_t size_bytes = 0;
  /// Nanoseconds since 1970-01-01 UTC.
  std::int64_t mtime_ns = 0;
};

/// What calls about files give; which members count depends on the call.
struct FileResult {
  /// stat, list, diff: in the byte order of their names.
  std::vector<FileInfo> files{};
  /// There was more than max_bytes (read) or max_entries (list, diff).
  bool truncated = false;
  /// read: the content.
  std::string data{};
  /// read: of the file.
  std::uint64_t file_size_bytes = 0;
  /// Files, directories and links that were read, made or removed.
  std::uint64_t entry_count = 0;
  /// Of file contents.
  std::uint64_t byte_count = 0;
  /// upload, download: devices, FIFOs and sockets, which were left out.
  std::uint64_t skipped_count = 0;
  /// upload, download: files that changed while they were read.
  std::uint64_t changed_count = 0;
  /// The same as one JSON object.
  std::string json{};
};

/// How to do something with files of a task; which members count is said at each call. Zero and empty mean the default.
struct FileOptions {
  /// list_files(): with everything below. remove_file(): a directory with everything in it.
  bool recursive = false;
  /// write_file(), make_dir(), upload(): make missing directories on the way.
  bool parents = false;
  /// write_file(): only if there is none, else Error exists.
  bool exclusive = false;
  /// upload(): the local file is an uncompressed tar. download(): it is to become one.
  bool tar = false;
  /// write_file(), make_dir(): permission bits 01 to 0777. Default: those of the file that is replaced, else 0644; of a
  /// directory 0755.
  std::uint32_t mode = 0;
  /// read_file(): where to start.
  std::uint64_t offset = 0;
  /// read_file(): how much at most; default: 1 MiB, as an operation all. upload(), download(), export_task(): of all files
  /// together; default: 16 GiB; more is Error limit.
  std::uint64_t max_bytes = 0;
  /// list_files(), diff_task(): how many at most; default: 1000. upload(), download(), export_task(): default: 1000000;
  /// more is Error limit.
  std::uint64_t max_entries = 0;
  /// upload(), download(), export_task(): the longest path. Default: 4095.
  std::uint32_t max_path_bytes = 0;
  /// How long it may take in the guest, then Error timeout: 0.001 to 31536000, or kNoTimeout. Default: 60; for upload(),
  /// download() and export_task() no limit.
  Seconds timeout_seconds{};
  /// User name or number in the guest who does it. Default: root. Not for diff_task().
  std::string user{};
};

}  // namespace pyro
