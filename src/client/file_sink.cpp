#include "client/file_sink.hpp"

#include "base/io.hpp"
#include "tree/extractor.hpp"
#include "tree/file_error.hpp"
#include "tree/paths.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>

namespace pyro::client {

namespace {

using base::Fd;
using base::Result;
using base::Status;

// Of one entry: two long names and what goes around them, and the end of the stream.
constexpr std::uint64_t kMaxHeadersBytes = 64 * 1024;

// Of this process. The call of that name would set it, for a moment, for all threads of the host program.
mode_t own_umask() {
  constexpr std::string_view kField = "\nUmask:";  // proc(5): octal
  // Nobody but the owner gets anything where it cannot be told.
  mode_t mask = 0077;
  if (const auto status = base::read_file("/proc/self/status", 64 * 1024); status.ok()) {
    if (const std::size_t at = status->find(kField); at != std::string::npos) {
      const std::size_t digits = status->find_first_not_of(" \t", at + kField.size());
      std::from_chars(status->data() + std::min(digits, status->size()), status->data() + status->size(), mask, 8);
    }
  }
  return mask;
}

class TarFileSink final : public FileSink {
 public:
  TarFileSink(Fd directory, tree::NewFile file, std::string name, const FileJob& job)
      : directory_(std::move(directory)),
        file_(std::move(file)),
        name_(std::move(name)),
        path_(job.local_path),
        check_(job.request) {}

  Status feed(base::ByteView bytes) override {
    PYRO_TRY(check_.feed(bytes));
    return file_.write(bytes, path_);
  }
  Status finish() override {
    PYRO_TRY(check_.finish());
    if (::fchmod(file_.fd(), 0666 & ~own_umask()) != 0) {
      return tree::file_error(errno, "cannot set the mode of", path_);
    }
    return file_.place(name_, false, path_);
  }

 private:
  Fd directory_;
  tree::NewFile file_;
  std::string name_;
  std::string path_;
  TarCheck check_;
};

class TreeSink final : public FileSink {
 public:
  explicit TreeSink(const FileJob& job)
      : path_(job.local_path),
        guest_path_(job.request.path),
        limits_{job.request.max_entries, job.request.max_bytes, job.request.max_path_bytes} {}

  Status feed(base::ByteView bytes) override {
    if (extractor_) {
      return extractor_->feed(bytes);
    }
    first_.insert(first_.end(), bytes.begin(), bytes.end());
    // Whether it is a directory or a file tells the first entry.
    PYRO_TRY_ASSIGN(const auto step, first_reader_.next(bytes));
    if (step.kind == tree::TarReader::Kind::more) {
      return base::success();
    }
    if (step.kind == tree::TarReader::Kind::entry && first_reader_.entry().type == tree::EntryType::directory) {
      PYRO_TRY(open_tree());
    } else {
      PYRO_TRY(open_file());
    }
    return extractor_->feed(first_);
  }
  Status finish() override {
    return extractor_ ? extractor_->finish()
                      : Status(base::make_error(PYRO_ERROR_INVALID, "the guest's tar stream was cut off"));
  }
  [[nodiscard]] tree::Counts counts() const noexcept override {
    return extractor_ ? extractor_->counts() : tree::Counts{};
  }

 private:
  Status open_tree() {
    if (::mkdir(path_.c_str(), 0777) != 0 && errno != EEXIST) {
      return tree::file_error(errno, "cannot make the directory", path_);
    }
    PYRO_TRY_ASSIGN(Fd root, tree::open_directory(path_));
    // The guest decides whether it sends a file or a tree: who asked for one file must not find another's .ssh.
    std::error_code failure;
    if (!std::filesystem::is_empty(path_, failure)) {
      return base::make_error(PYRO_ERROR_EXISTS,
                              "{} is a directory with something in it, and what {} is in the guest is a directory: "
                              "nothing is mixed; name one that is empty or not there yet",
                              tree::shown(path_), tree::shown(guest_path_));
    }
    extractor_.emplace(std::move(root), limits_, path_, own_umask());
    return base::success();
  }

  // The name is the caller's: what the guest calls the file does not count.
  Status open_file() {
    tree::SplitPath parts = tree::split(path_);
    if (path_.ends_with('/') || tree::is_directory(path_)) {
      parts = {path_, tree::last_name(guest_path_)};
      if (parts.name.empty() || parts.name == "." || parts.name == "..") {
        return base::make_error(PYRO_ERROR_INVALID, "{} has no name to give to a file in {}", tree::shown(guest_path_),
                                tree::shown(path_));
      }
    }
    PYRO_TRY_ASSIGN(Fd directory, tree::open_directory(parts.directory));
    extractor_.emplace(std::move(directory), parts.name, limits_, parts.directory + "/" + parts.name, own_umask());
    return base::success();
  }

  std::string path_;
  std::string guest_path_;
  tree::Limits limits_;
  base::Bytes first_;
  tree::TarReader first_reader_;
  std::optional<tree::Extractor> extractor_;
};

}  // namespace

Status TarCheck::feed(base::ByteView bytes) {
  total_bytes_ += bytes.size();
  while (true) {
    PYRO_TRY_ASSIGN(const auto step, reader_.next(bytes));
    if (step.kind == tree::TarReader::Kind::entry) {
      const tree::TarEntry& entry = reader_.entry();
      if (++counts_.entries > limits_.max_entries || entry.size > limits_.max_bytes - counts_.bytes) {
        return base::make_error(PYRO_ERROR_LIMIT,
                                "the guest sent more than max_entries ({}) or max_bytes ({}): stopped",
                                limits_.max_entries, limits_.max_bytes);
      }
      counts_.bytes += entry.size;
    }
    // Headers are not counted as contents, but a guest may not send any number of them.
    if (total_bytes_ > counts_.bytes + (counts_.entries + 1) * kMaxHeadersBytes) {
      return base::make_error(PYRO_ERROR_LIMIT, "the guest sent more headers than files have: stopped");
    }
    if (step.kind == tree::TarReader::Kind::more || step.kind == tree::TarReader::Kind::end) {
      return base::success();
    }
  }
}

Status TarCheck::finish() const {
  return reader_.has_ended() ? base::success()
                             : Status(base::make_error(PYRO_ERROR_INVALID, "the guest's tar stream was cut off"));
}

Result<std::unique_ptr<FileSink>> make_file_sink(const FileJob& job) {
  if (job.request.verb != wire::FileVerb::download || job.local_path.empty()) {
    return std::unique_ptr<FileSink>();
  }
  if (!job.is_tar) {
    return std::unique_ptr<FileSink>(std::make_unique<TreeSink>(job));
  }
  const tree::SplitPath parts = tree::split(job.local_path);
  if (parts.name.empty() || tree::is_directory(job.local_path)) {
    return base::make_error(PYRO_ERROR_STATE, "cannot write {}: it is a directory; name a tar file",
                            tree::shown(job.local_path));
  }
  PYRO_TRY_ASSIGN(Fd directory, tree::open_directory(parts.directory));
  PYRO_TRY_ASSIGN(tree::NewFile file, tree::NewFile::create(directory.get(), job.local_path));
  return std::unique_ptr<FileSink>(
      std::make_unique<TarFileSink>(std::move(directory), std::move(file), parts.name, job));
}

}  // namespace pyro::client
