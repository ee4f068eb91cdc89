// Where an operation on files puts what the guest sends: a tree or a file on this host, made from its tar stream, or that
// stream as a tar file. The guest is not believed: see tree/extractor.hpp.
// Thread rule: an object belongs to one thread at a time.
#pragma once

#include "base/bytes.hpp"
#include "client/file_request.hpp"
#include "tree/limits.hpp"

#include <memory>

namespace pyro::client {

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
