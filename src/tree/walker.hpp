// Walks a tree below a directory descriptor: each directory before what is in it, names in byte order. Follows no
// symbolic link; what vanishes meanwhile is left out.
// Thread rule: an object belongs to one thread at a time.
#pragma once

#include "base/fd.hpp"
#include "tree/limits.hpp"

#include <memory>
#include <string>
#include <vector>

#include <dirent.h>
#include <sys/stat.h>

namespace pyro::tree {

class Walker {
 public:
  struct Options {
    /// Do not go into what is mounted below the root.
    bool one_file_system = false;
    /// Only what is in the root itself.
    bool flat = false;
    /// Longer paths are a LIMIT error.
    std::size_t max_path_bytes = kMaxPathBytes;
  };
  struct Item {
    /// Below the root, without "./".
    std::string path;
    /// The directory that it is in, and its name there. Borrowed until the next call.
    int directory = -1;
    std::string name;
    struct stat info {};
  };

  /// `root`: a directory, open for reading. `shown_root` is for messages.
  static base::Result<Walker> make(base::Fd root, Options options, std::string shown_root);

  /// False: that was all. Errors: LIMIT (too deep, too long), and what keeps a directory from being read.
  base::Result<bool> next();
  [[nodiscard]] const Item& item() const noexcept { return item_; }
  [[nodiscard]] std::string shown_item() const { return shown_root_ + "/" + item_.path; }
  /// Directories that were not gone into, since something is mounted there.
  [[nodiscard]] std::uint64_t mounts() const noexcept { return mounts_; }

 private:
  struct DirCloser {
    void operator()(DIR* dir) const noexcept { ::closedir(dir); }
  };
  struct Level {
    std::unique_ptr<DIR, DirCloser> dir;
    /// Those still to come, the next one last.
    std::vector<std::string> names;
    std::size_t path_size = 0;
  };

  Walker(Options options, std::string shown_root) : options_(options), shown_root_(std::move(shown_root)) {}
  base::Status enter(base::Fd directory, std::size_t path_size);
  base::Status enter_item();

  Options options_;
  std::string shown_root_;
  dev_t device_ = 0;
  std::vector<Level> levels_;
  Item item_;
  bool descend_ = false;
  std::uint64_t mounts_ = 0;
};

}  // namespace pyro::tree
