// Where an operation on files puts what the guest sends: a tree or a file on this host, made from its tar stream, or that
// stream as a tar file. The guest is not believed: see tree/extractor.hpp.
// Thread rule: an object belongs to one thread at a time.
#pragma once

#include "base/bytes.hpp"
#include "client/file_request.hpp"
#include "tree/limits.hpp"

#include <memory>

namespace pyro::client {

/// Looks at a guest's tar stream that is passed on as it is: whether it is one, within what was asked for.
class TarCheck {
 public:
  explicit TarCheck(const wire::FileRequest& request)
      : limits_{request.max_entries, request.max_bytes, request.max_path_bytes} {}
  /// The next piece. Errors: INVALID, UNSUPPORTED, LIMIT.
  base::Status feed(base::ByteView bytes);
  /// Error INVALID: it was cut off.
  [[nodiscard]] base::Status finish() const;

 private:
  tree::Limits limits_;
  tree::Counts counts_;
  std::uint64_t total_bytes_ = 0;
  tree::TarReader reader_;
};

class FileSink {
 public:
  FileSink() = default;
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;
  virtual ~FileSink() = default;

  virtual base::Status feed(base::ByteView bytes) = 0;
  /// The guest says that that was all of it.
  virtual base::Status finish() = 0;
  /// What was made; nothing of a tar file.
  [[nodiscard]] virtual tree::Counts counts() const noexcept { return {}; }
};

/// The sink of a download to local_path; nullptr of any other job.
base::Result<std::unique_ptr<FileSink>> make_file_sink(const FileJob& job);

}  // namespace pyro::client
