// What an operation on files sends into the guest: content in pieces, a tree or a file as a tar stream, a tar file as it
// is. Read as there is room for it, never ahead.
// Thread rule: an object belongs to one thread at a time.
#pragma once

#include "client/file_request.hpp"
#include "tree/limits.hpp"

#include <memory>

namespace pyro::client {

class FileSource {
 public:
  FileSource() = default;
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  virtual ~FileSource() = default;

  /// Appends to `out` until that has about `size` bytes, or all was given.
  virtual base::Status fill(base::Bytes& out, std::size_t size) = 0;
  [[nodiscard]] virtual bool has_ended() const noexcept = 0;
  [[nodiscard]] virtual tree::Counts counts() const noexcept { return {}; }
};

/// The source of a job that does not stream; nullptr: it sends nothing. Sets what the guest has to know of it. Errors:
/// NOT_FOUND and what else keeps local_path from being read.
base::Result<std::unique_ptr<FileSource>> make_file_source(FileJob& job);

/// A piece of a file's content as it travels (wire/file_messages.hpp); an empty one is the end.
void append_piece(base::Bytes& out, base::ByteView bytes);
inline constexpr std::size_t kPieceHeadBytes = 4;

}  // namespace pyro::client
