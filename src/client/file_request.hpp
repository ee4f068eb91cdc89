// Validated options of the calls about files: everything copied, every default filled in. Thread rule: free functions.
#pragma once

#include "client/run_request.hpp"
#include "wire/file_messages.hpp"

#include <string>

namespace pyro::client {

/// What a call about files is, as the user sees it. Export is a download of /workspace as a tar.
enum class FileCall { read, write, list, stat, make_dir, remove, upload, download, diff, export_workspace };

struct FileJob {
  std::string task_id;
  std::string user;
  std::uint64_t timeout_ms = 0;
  wire::FileRequest request;
  /// write: the content, unless it streams.
  std::string data;
  /// write, upload: comes from write_stdin().
  bool streams_input = false;
  /// upload, download: on the host; empty: streams.
  std::string local_path;
  /// local_path is a tar file.
  bool is_tar = false;
};

/// Errors: INVALID; the message says the allowed range.
base::Result<FileJob> make_file_job(const pyro_file_options& options, FileCall call, bool is_blocking);
/// What makes `seed` the first content of a task's workspace.
FileJob make_seed_job(std::string task_id, std::string seed, bool is_tar);

}  // namespace pyro::client
