// Makes files out of a tar stream, below one directory and nowhere else. The stream is hostile: a path that is absolute,
// has "..", or leads through a symbolic link is refused; devices, FIFOs and sockets are left out and counted; set-id and
// sticky bits are dropped; nobody's ownership is taken over; a hard link must lead to a file below the same directory.
// A file appears under its name when all of it has come; what the stream has brought before an error stays.
// Thread rule: an object belongs to one thread at a time.
#pragma once

#include "base/fd.hpp"
#include "tree/limits.hpp"
#include "tree/new_file.hpp"

#include <optional>
#include <string>

#include <sys/types.h>

namespace pyro::tree {

class Extractor {
 public:
  /// `root`: a directory. `shown_root` is for messages. `umask`: permission bits that nothing gets.
  Extractor(base::Fd root, const Limits& limits, std::string shown_root, mode_t umask = 0);
  /// The stream is one file (not a directory, not a link), and is to be `name` in `root`, whatever it is called there.
  /// An empty name: as it is called there.
  Extractor(base::Fd root, std::string name, const Limits& limits, std::string shown_path, mode_t umask = 0);

  /// The next piece. Errors are final: INVALID, UNSUPPORTED, LIMIT, STATE and what keeps a file from being made.
  base::Status feed(base::ByteView bytes);
  /// The stream is over. Error INVALID: it was cut off, or brought no file if it should.
  base::Status finish();
  /// All of it has come; more input does not count.
  [[nodiscard]] bool has_ended() const noexcept { return reader_.has_ended(); }
  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

 private:
  struct Place {
    int directory = -1;  // borrowed until the next path is looked up
    std::string name;    // empty: the root itself
  };

  [[nodiscard]] base::Status check_entry_count() const;
  base::Status start_entry();
  base::Status finish_file();
  base::Status make_directory(const Place& place);
  base::Status make_symlink(const Place& place);
  base::Status make_hard_link(const Place& place);
  /// The directory that `path` is in, made if it is missing and `makes`.
  base::Result<Place> find(const std::string& path, bool makes);
  base::Result<base::Fd> open_directory(const std::string& path, bool makes);
  [[nodiscard]] std::string shown_entry(const std::string& path) const;

  base::Fd root_;
  /// Of the only file.
  std::optional<std::string> single_name_;
  Limits limits_;
  std::string shown_root_;
  /// Permission bits that entries get if they have them.
  std::uint32_t permissions_;
  TarReader reader_;
  Counts counts_;
  /// Made on the way to an entry.
  std::uint64_t unnamed_directories_ = 0;
  std::optional<NewFile> file_;
  std::string file_name_;
  /// The directory that was looked up last: entries of one directory come together.
  std::string directory_path_;
  base::Fd directory_;
};

}  // namespace pyro::tree
