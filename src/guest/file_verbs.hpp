// What file_tool.hpp can do, one function each. Data goes through the standard streams; errors name the path.
// Thread rule: as file_tool.hpp.
#pragma once

#include "base/fd.hpp"
#include "tree/limits.hpp"
#include "wire/file_messages.hpp"

#include <string>

#include <sys/stat.h>

namespace pyro::guest::verbs {

using VerbResult = base::Result<wire::FileReport>;

VerbResult read(const wire::FileRequest& request);
VerbResult write(const wire::FileRequest& request);
VerbResult list(const wire::FileRequest& request);
VerbResult stat(const wire::FileRequest& request);
VerbResult make_dir(const wire::FileRequest& request);
VerbResult remove(const wire::FileRequest& request);
VerbResult upload(const wire::FileRequest& request);
VerbResult download(const wire::FileRequest& request);
VerbResult diff(const wire::FileRequest& request);

// What they share.

tree::Limits limits_of(const wire::FileRequest& request);
/// `mkdir -p`.
base::Status make_directories(const std::string& path, mode_t mode);
/// The entry for `name` in `directory`, told as `path`.
wire::FileEntry make_entry(int directory, const std::string& name, const std::string& path, const struct stat& info);

/// Writes entries to standard output, until there are too many for an answer.
class EntryWriter {
 public:
  explicit EntryWriter(std::uint64_t max_entries) : max_entries_(max_entries) {}
  /// False: that one is too many.
  base::Result<bool> add(const wire::FileEntry& entry);
  base::Status flush();
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

 private:
  std::uint64_t max_entries_;
  std::uint64_t count_ = 0;
  std::size_t total_bytes_ = 0;
  base::ByteWriter buffer_;
};

/// Keeps what is in /workspace now as its state at creation, in `directory`.
base::Status write_baseline(int directory);

}  // namespace pyro::guest::verbs
