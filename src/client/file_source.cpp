#include "client/file_source.hpp"

#include "tree/file_error.hpp"
#include "tree/packer.hpp"
#include "tree/paths.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::client {

namespace {

class ContentSource final : public FileSource {
 public:
  explicit ContentSource(std::string content) : content_(std::move(content)) {}

  base::Status fill(base::Bytes& out, std::size_t size) override {
    const auto rest = base::as_bytes(content_).subspan(sent_);
    const auto now = rest.first(std::min(rest.size(), std::max(size, kPieceHeadBytes + 1) - kPieceHeadBytes));
    // An empty one as well: that is the end.
    append_piece(out, now);
    ended_ = now.empty();
    sent_ += now.size();
    return base::success();
  }
  [[nodiscard]] bool has_ended() const noexcept override { return ended_; }

 private:
  std::string content_;
  std::size_t sent_ = 0;
  bool ended_ = false;
};

class PackSource final : public FileSource {
 public:
  explicit PackSource(tree::Packer packer) : packer_(std::move(packer)) {}
  base::Status fill(base::Bytes& out, std::size_t size) override { return packer_.fill(out, size); }
  [[nodiscard]] bool has_ended() const noexcept override { return packer_.has_ended(); }
  [[nodiscard]] tree::Counts counts() const noexcept override { return packer_.counts(); }

 private:
  tree::Packer packer_;
};

class TarFileSource final : public FileSource {
 public:
  TarFileSource(base::Fd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

  base::Status fill(base::Bytes& out, std::size_t size) override {
    const std::size_t before = out.size();
    out.resize(std::max(size, before + 1));
    ssize_t got = 0;
    do {
      got = ::read(file_.get(), out.data() + before, out.size() - before);
    } while (got < 0 && errno == EINTR);
    const int why = errno;
    out.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    ended_ = got == 0;
    return got < 0 ? base::Status(tree::file_error(why, "cannot read", path_)) : base::success();
  }
  [[nodiscard]] bool has_ended() const noexcept override { return ended_; }

 private:
  base::Fd file_;
  std::string path_;
  bool ended_ = false;
};

base::Result<std::unique_ptr<FileSource>> open_local(FileJob& job) {
  const std::string& path = job.local_path;
  base::Fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) {
    return tree::file_error(errno, "cannot read", path);
  }
  const bool is_directory = S_ISDIR(info.st_mode);
  if ((!is_directory || job.is_tar) && !S_ISREG(info.st_mode)) {
    return base::make_error(PYRO_ERROR_INVALID, "cannot send {}: it is no regular file{}", tree::shown(path),
                            job.is_tar ? "" : " and no directory");
  }
  if (job.is_tar) {
    return std::unique_ptr<FileSource>(std::make_unique<TarFileSource>(std::move(file), path));
  }
  const tree::Limits limits{job.request.max_entries, job.request.max_bytes, job.request.max_path_bytes};
  job.request.single_file = !is_directory;
  // Mounts below are part of the tree, as they are for cp and tar.
  auto packer = is_directory ? tree::Packer::of_directory(std::move(file), limits, false, path)
                             : tree::Packer::of_file(std::move(file), tree::last_name(path), limits, path);
  if (!packer.ok()) {
    return std::move(packer).error();
  }
  return std::unique_ptr<FileSource>(std::make_unique<PackSource>(std::move(packer).value()));
}

}  // namespace

base::Result<std::unique_ptr<FileSource>> make_file_source(FileJob& job) {
  if (job.streams_input) {
    return std::unique_ptr<FileSource>();
  }
  if (job.request.verb == wire::FileVerb::write) {
    return std::unique_ptr<FileSource>(std::make_unique<ContentSource>(std::move(job.data)));
  }
  if (job.request.verb == wire::FileVerb::upload) {
    return open_local(job);
  }
  return std::unique_ptr<FileSource>();
}

void append_piece(base::Bytes& out, base::ByteView bytes) {
  base::ByteWriter head;
  head.u32(static_cast<std::uint32_t>(bytes.size()));
  out.insert(out.end(), head.view().begin(), head.view().end());
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace pyro::client
