// A file that appears under its name whole, or not at all. It has no name while it is written (O_TMPFILE), so that
// nothing is left of it if this process is killed; on file systems that cannot do that it has one that starts with
// ".pyro-new-".
// Thread rule: an object belongs to one thread at a time.
#pragma once

#include "base/bytes.hpp"
#include "base/fd.hpp"

#include <string>

namespace pyro::tree {

class NewFile {
 public:
  /// In `directory`, which stays open for as long as this lives. Only its owner can read it yet.
  static base::Result<NewFile> create(int directory, const std::string& shown_path);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile();

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  base::Status write(base::ByteView bytes, const std::string& shown_path);
  /// Gives it its name, in place of what has that now, unless `exclusive`. Never follows a link at `name`.
  base::Status place(const std::string& name, bool exclusive, const std::string& shown_path);

 private:
  NewFile(int directory, base::Fd fd, std::string temporary_name) noexcept
      : directory_(directory), fd_(std::move(fd)), temporary_name_(std::move(temporary_name)) {}

  int directory_;
  base::Fd fd_;
  /// Empty: it has no name.
  std::string temporary_name_;
};

/// A name that nothing has, for something that gets its real one later.
std::string temporary_name();

}  // namespace pyro::tree
