#include "client/file_request.hpp"

#include "client/invalid.hpp"
#include "client/task_request.hpp"
#include "tree/limits.hpp"

namespace pyro::client {

namespace {

using base::Result;
using base::Status;

constexpr const char* kWorkspace = "/workspace";
constexpr double kDefaultFileTimeoutSeconds = 60;
constexpr std::uint64_t kDefaultReadBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kMaxTreeBytes = std::uint64_t{1} << 60;
constexpr std::uint64_t kDefaultListEntries = 1000;
constexpr std::uint64_t kMaxListEntries = 1'000'000;
constexpr std::uint64_t kMaxTreeEntries = 100'000'000;

Result<std::uint64_t> ranged(const char* name, std::uint64_t value, std::uint64_t fallback, std::uint64_t max) {
  if (value > max) {
    return invalid("{} is {}: 1 to {} are possible", name, value, max);
  }
  return value == 0 ? fallback : value;
}

bool is_tree(FileCall call) noexcept {
  return call == FileCall::upload || call == FileCall::download || call == FileCall::export_workspace;
}

wire::FileVerb verb_of(FileCall call) noexcept {
  switch (call) {
    case FileCall::read:
      return wire::FileVerb::read;
    case FileCall::write:
      return wire::FileVerb::write;
    case FileCall::list:
      return wire::FileVerb::list;
    case FileCall::stat:
      return wire::FileVerb::stat;
    case FileCall::make_dir:
      return wire::FileVerb::make_dir;
    case FileCall::remove:
      return wire::FileVerb::remove;
    case FileCall::upload:
      return wire::FileVerb::upload;
    case FileCall::diff:
      return wire::FileVerb::diff;
    default:
      return wire::FileVerb::download;
  }
}

Result<std::string> take_path(const pyro_file_options& options, FileCall call) {
  if (call == FileCall::diff || call == FileCall::export_workspace) {
    return std::string(kWorkspace);
  }
  if (options.path == nullptr || *options.path == '\0') {
    return invalid("there is no path: give one in the guest, such as \"/workspace/notes.txt\"");
  }
  std::string path = options.path;
  if (path.size() > wire::kMaxFilePathBytes) {
    return invalid("path has {} bytes: 1 to {} are possible", path.size(), wire::kMaxFilePathBytes);
  }
  return path;
}

Status take_limits(const pyro_file_options& options, FileCall call, bool is_blocking, wire::FileRequest& request) {
  const tree::Limits defaults;
  if (is_tree(call)) {
    PYRO_TRY_ASSIGN(request.max_bytes, ranged("max_bytes", options.max_bytes, defaults.max_bytes, kMaxTreeBytes));
    PYRO_TRY_ASSIGN(request.max_entries,
                    ranged("max_entries", options.max_entries, defaults.max_entries, kMaxTreeEntries));
    PYRO_TRY_ASSIGN(const std::uint64_t path_bytes,
                    ranged("max_path_bytes", options.max_path_bytes, wire::kMaxFilePathBytes, wire::kMaxFilePathBytes));
    request.max_path_bytes = static_cast<std::uint32_t>(path_bytes);
    return base::success();
  }
  request.max_bytes = options.max_bytes != 0 ? options.max_bytes : is_blocking ? kDefaultReadBytes : UINT64_MAX;
  PYRO_TRY_ASSIGN(request.max_entries,
                  ranged("max_entries", options.max_entries, kDefaultListEntries, kMaxListEntries));
  return base::success();
}

Status take_flags(const pyro_file_options& options, FileCall call, FileJob& job) {
  PYRO_TRY_ASSIGN(job.request.recursive, flag("recursive", options.recursive));
  PYRO_TRY_ASSIGN(job.request.parents, flag("parents", options.parents));
  PYRO_TRY_ASSIGN(job.request.exclusive, flag("exclusive", options.exclusive));
  PYRO_TRY_ASSIGN(job.is_tar, flag("tar", options.tar));
  job.is_tar = job.is_tar || call == FileCall::export_workspace;
  if (options.mode > 0777) {
    return invalid("mode is {:#o}: 01 to 0777 are possible", options.mode);
  }
  job.request.mode = options.mode == 0 ? wire::FileRequest::kDefaultMode : options.mode;
  job.request.offset = options.offset;
  return base::success();
}

Status take_places(const pyro_file_options& options, FileCall call, bool is_blocking, FileJob& job) {
  if (options.stdin_mode > PYRO_STDIN_STREAM) {
    return invalid("stdin_mode is {}: 0 (data) and 1 (stream) are possible", options.stdin_mode);
  }
  if (is_tree(call) && options.local_path != nullptr) {
    job.local_path = options.local_path;
    if (job.local_path.empty()) {
      return invalid("local_path is empty: name a file or directory of this host");
    }
  }
  const bool takes_input = call == FileCall::write || call == FileCall::upload;
  job.streams_input = takes_input && options.stdin_mode == PYRO_STDIN_STREAM;
  if (call == FileCall::upload && job.streams_input != job.local_path.empty()) {
    return invalid("upload: give local_path, or PYRO_STDIN_STREAM and then a tar stream by pyro_op_write_stdin()");
  }
  if (is_blocking && (job.streams_input || (is_tree(call) && job.local_path.empty()))) {
    return invalid("{} is not for the blocking call: use the one that starts an operation",
                   job.streams_input ? "PYRO_STDIN_STREAM" : "no local_path");
  }
  if (call == FileCall::write) {
    if (options.data == nullptr && options.data_size != 0) {
      return invalid("data is NULL, but data_size is {}", options.data_size);
    }
    if (job.streams_input && options.data_size != 0) {
      return invalid("data is for stdin_mode 0; with PYRO_STDIN_STREAM use pyro_op_write_stdin()");
    }
    job.data.assign(static_cast<const char*>(options.data_size == 0 ? "" : options.data), options.data_size);
  }
  return base::success();
}

}  // namespace

Result<FileJob> make_file_job(const pyro_file_options& options, FileCall call, bool is_blocking) {
  FileJob job;
  job.request.verb = verb_of(call);
  PYRO_TRY_ASSIGN(job.task_id, take_task_id(options.task_id));
  PYRO_TRY_ASSIGN(job.request.path, take_path(options, call));
  PYRO_TRY(take_flags(options, call, job));
  PYRO_TRY(take_limits(options, call, is_blocking, job.request));
  PYRO_TRY(take_places(options, call, is_blocking, job));
  PYRO_TRY_ASSIGN(job.timeout_ms, duration_ms("timeout_seconds", options.timeout_seconds,
                                              is_tree(call) ? 0 : kDefaultFileTimeoutSeconds, kYearSeconds, true));
  job.user = options.user == nullptr ? "root" : options.user;
  if (job.user.empty() || job.user.size() > kMaxUserBytes) {
    return invalid("user must be a name or number of 1 to {} bytes", kMaxUserBytes);
  }
  if (call == FileCall::diff && options.user != nullptr) {
    return invalid("diff looks at the workspace as root: it takes no user");
  }
  return job;
}

FileJob make_seed_job(std::string task_id, std::string seed, bool is_tar) {
  FileJob job;
  job.request.verb = wire::FileVerb::upload;
  job.request.path = kWorkspace;
  job.request.sets_baseline = true;
  job.request.max_bytes = kMaxTreeBytes;
  job.request.max_entries = kMaxTreeEntries;
  job.task_id = std::move(task_id);
  job.user = "root";
  job.local_path = std::move(seed);
  job.is_tar = is_tar;
  return job;
}

}  // namespace pyro::client
