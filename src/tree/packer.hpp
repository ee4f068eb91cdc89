// A tree, or one file, as a tar stream, in pieces of the caller's choice. The order depends on the names alone. A file
// that changes while it is read is sent in the size that it had; only what cannot be read at all is an error.
// Thread rule: an object belongs to one thread at a time.
#pragma once

#include "tree/walker.hpp"

#include <optional>

namespace pyro::tree {

class Packer {
 public:
  /// What is in `root`, a directory that is open for reading; its own mode and time come first, as ".".
  static base::Result<Packer> of_directory(base::Fd root, const Limits& limits, bool one_file_system,
                                           std::string shown_root);
  /// One regular file, open for reading, as the entry `name`.
  static base::Result<Packer> of_file(base::Fd file, std::string name, const Limits& limits, std::string shown_path);

  /// Appends to `out` until that has `size` bytes or the stream has ended. Errors: LIMIT, and what cannot be read.
  base::Status fill(base::Bytes& out, std::size_t size);
  [[nodiscard]] bool has_ended() const noexcept { return ended_; }
  [[nodiscard]] Counts counts() const noexcept;

 private:
  Packer(const Limits& limits, std::string shown_root) : limits_(limits), shown_root_(std::move(shown_root)) {}

  base::Status add(EntryType type, std::string path, std::string link, const struct stat& info, base::Bytes& out);
  base::Status add_item(base::Bytes& out);
  base::Status add_next(base::Bytes& out);
  base::Status add_content(base::Bytes& out, std::size_t room);
  base::Status open_item(base::Bytes& out);

  Limits limits_;
  std::string shown_root_;
  std::optional<Walker> walker_;
  base::Fd file_;
  std::string shown_file_;
  std::uint64_t left_ = 0;
  std::size_t padding_ = 0;
  bool shrank_ = false;
  bool ended_ = false;
  /// A header that is still to be sent: of the root, or of the one file.
  base::Bytes first_;
  Counts counts_;
};

/// What `mode` (of stat(2)) is; hard links are files.
EntryType entry_type(mode_t mode) noexcept;
/// The target of the symbolic link `name`; empty with errno if it cannot be read.
std::string read_link(int directory, const std::string& name);

}  // namespace pyro::tree
