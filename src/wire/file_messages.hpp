// What is said about files of a guest: the request of one operation, and the agent's answer. An operation travels as a
// command does (Exec::file_request): with the streams, credit, kill and timeout of one. Its data is on stdin and stdout,
// its report is all that comes on stderr.
//
//   read       stdout: the bytes
//   write      stdin:  pieces, each a u32 size and as many bytes; one of size 0 says that it is complete
//   upload     stdin:  a tar stream; its end says that it is complete
//   download   stdout: a tar stream
//   list, stat, diff   stdout: FileEntry messages, each behind a u32 size
//
// Input that just ends is that of a client that has gone: what it was for does not happen.
// Pure code: no I/O. Thread rule: values.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string>

namespace pyro::wire {

/// Linux's PATH_MAX, with the NUL.
inline constexpr std::size_t kMaxFilePathBytes = 4095;
/// All FileEntry messages of one answer together: what a client holds in memory.
inline constexpr std::size_t kMaxEntryListBytes = 64 * 1024 * 1024;
/// A FileEntry, with both paths.
inline constexpr std::size_t kMaxEntryBytes = 2 * kMaxFilePathBytes + 256;
/// A FileReport.
inline constexpr std::size_t kMaxReportBytes = 16 * 1024;

enum class FileVerb : std::uint8_t {
  read = 1,
  write = 2,
  list = 3,
  stat = 4,
  make_dir = 5,
  remove = 6,
  upload = 7,
  download = 8,
  diff = 9,
};

struct FileRequest {
  FileVerb verb = FileVerb::stat;
  /// In the guest; a relative one counts from /workspace. Never empty.
  std::string path;
  /// list: with all that is below. remove: a directory with all that is in it.
  bool recursive = false;
  /// write, make_dir: make missing directories on the way; make_dir: one that is there is fine.
  bool parents = false;
  /// write: only if there is none.
  bool exclusive = false;
  /// upload: the stream is one file, which `path` is to be, or to be in if it is a directory.
  bool single_file = false;
  /// upload: what is in /workspace afterwards is its state at creation.
  bool sets_baseline = false;
  /// write, make_dir: permission bits; kDefaultMode: those of the file that is replaced, else 0644; of a directory 0755.
  std::uint32_t mode = kDefaultMode;
  /// read: where to start.
  std::uint64_t offset = 0;
  /// read, upload, download.
  std::uint64_t max_bytes = 0;
  /// list, diff, upload, download.
  std::uint64_t max_entries = 0;
  /// upload, download.
  std::uint32_t max_path_bytes = kMaxFilePathBytes;

  static constexpr std::uint32_t kDefaultMode = 0xffffffff;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<FileRequest> decode(base::ByteView payload);
};

enum class FileType : std::uint8_t { other = 0, file = 1, directory = 2, symlink = 3 };
enum class FileChange : std::uint8_t { none = 0, added = 1, changed = 2, removed = 3 };

struct FileEntry {
  FileChange change = FileChange::none;
  FileType type = FileType::other;
  /// list and diff: below the directory. stat: as it was asked for.
  std::string path;
  /// Of a symbolic link.
  std::string target;
  /// Permission bits, 07777.
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t size = 0;
  /// Nanoseconds since 1970.
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<FileEntry> decode(base::ByteView payload);
};

/// How an operation went.
struct FileReport {
  pyro_status status = PYRO_OK;
  /// Why not, in words.
  std::string message;
  /// There was more than max_bytes or max_entries.
  bool truncated = false;
  /// read: the file's size.
  std::uint64_t size = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  /// upload, download: what is no file, directory or symbolic link, and was left out.
  std::uint64_t skipped = 0;
  /// download: files that changed while they were read.
  std::uint64_t changed = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<FileReport> decode(base::ByteView payload);
};

}  // namespace pyro::wire
