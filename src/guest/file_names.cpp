// What is about names: listing, making and removing.
#include "base/io.hpp"
#include "guest/file_verbs.hpp"
#include "tree/file_error.hpp"
#include "tree/packer.hpp"
#include "tree/paths.hpp"
#include "tree/walker.hpp"

#include <cerrno>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace pyro::guest::verbs {

using base::Fd;
using base::Result;
using base::Status;
using tree::file_error;

namespace {

constexpr std::size_t kFlushBytes = 32 * 1024;
// Commands can nest directories deeper than any path may be long; each level costs stack and a descriptor.
constexpr unsigned kMaxRemoveDepth = 4096;

std::int64_t to_ns(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

wire::FileType file_type(mode_t mode) {
  return S_ISREG(mode)   ? wire::FileType::file
         : S_ISDIR(mode) ? wire::FileType::directory
         : S_ISLNK(mode) ? wire::FileType::symlink
                         : wire::FileType::other;
}

// Removes what is in `directory`; `path` is for messages.
Status empty_directory(Fd directory, const std::string& path, unsigned depth, std::uint64_t& removed) {
  if (depth == kMaxRemoveDepth) {
    return base::make_error(PYRO_ERROR_LIMIT, "cannot remove {}: directories are nested more than {} deep",
                            tree::shown(path), kMaxRemoveDepth);
  }
  struct Closer {
    void operator()(DIR* dir) const noexcept { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, Closer> dir(::fdopendir(directory.get()));
  if (!dir) {
    return file_error(errno, "cannot read the directory", path);
  }
  (void)directory.release();
  const int fd = ::dirfd(dir.get());
  errno = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") {
      continue;
    }
    std::string below = path;
    below.append("/").append(name);
    if (::unlinkat(fd, name.c_str(), 0) != 0) {
      if (errno == ENOENT) {
        continue;
      }
      if (errno != EISDIR && errno != EPERM) {
        return file_error(errno, "cannot remove", below);
      }
      const int why = errno;
      Fd inner(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!inner.valid()) {
        return file_error(errno == ENOTDIR ? why : errno, "cannot remove", below);
      }
      PYRO_TRY(empty_directory(std::move(inner), below, depth + 1, removed));
      if (::unlinkat(fd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
        return file_error(errno, "cannot remove", below);
      }
    }
    ++removed;
    errno = 0;
  }
  return errno == 0 ? base::success() : Status(file_error(errno, "cannot read the directory", path));
}

}  // namespace

tree::Limits limits_of(const wire::FileRequest& request) {
  return {request.max_entries, request.max_bytes, request.max_path_bytes};
}

Status make_directories(const std::string& path, mode_t mode) {
  for (std::size_t end = 0; end < path.size();) {
    end = std::min(path.find('/', end + 1), path.size());
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      struct stat info {};
      const int why = errno;
      // A file system that cannot be written says so even of what is there.
      if (::stat(part.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return file_error(why, "cannot make the directory", part);
      }
    }
  }
  return base::success();
}

wire::FileEntry make_entry(int directory, const std::string& name, const std::string& path, const struct stat& info) {
  wire::FileEntry entry;
  entry.type = file_type(info.st_mode);
  entry.path = path;
  entry.mode = info.st_mode & 07777;
  entry.uid = info.st_uid;
  entry.gid = info.st_gid;
  entry.size = entry.type == wire::FileType::file ? static_cast<std::uint64_t>(info.st_size) : 0;
  entry.mtime_ns = to_ns(info.st_mtim);
  entry.ctime_ns = to_ns(info.st_ctim);
  if (entry.type == wire::FileType::symlink) {
    entry.target = tree::read_link(directory, name);
  }
  return entry;
}

Result<bool> EntryWriter::add(const wire::FileEntry& entry) {
  const base::Bytes bytes = entry.encode();
  total_bytes_ += bytes.size() + sizeof(std::uint32_t);
  if (count_ == max_entries_ || total_bytes_ > wire::kMaxEntryListBytes) {
    return false;
  }
  ++count_;
  buffer_.text(base::as_text(bytes));
  if (buffer_.view().size() >= kFlushBytes) {
    PYRO_TRY(flush());
  }
  return true;
}

Status EntryWriter::flush() {
  const base::Bytes bytes = std::move(buffer_).take();
  buffer_ = {};
  return base::write_all(1, bytes, "the output");
}

VerbResult list(const wire::FileRequest& request) {
  PYRO_TRY_ASSIGN(Fd directory, tree::open_directory(request.path));
  tree::Walker::Options options;
  options.one_file_system = true;
  options.flat = !request.recursive;
  PYRO_TRY_ASSIGN(tree::Walker walker, tree::Walker::make(std::move(directory), options, request.path));
  EntryWriter out(request.max_entries);
  wire::FileReport report;
  while (!report.truncated) {
    PYRO_TRY_ASSIGN(const bool more, walker.next());
    if (!more) {
      break;
    }
    const auto& item = walker.item();
    PYRO_TRY_ASSIGN(const bool added, out.add(make_entry(item.directory, item.name, item.path, item.info)));
    report.truncated = !added;
  }
  PYRO_TRY(out.flush());
  report.entries = out.count();
  return report;
}

VerbResult stat(const wire::FileRequest& request) {
  struct stat info {};
  if (::lstat(request.path.c_str(), &info) != 0) {
    return file_error(errno, "cannot look at", request.path);
  }
  EntryWriter out(1);
  PYRO_TRY(out.add(make_entry(AT_FDCWD, request.path, request.path, info)));
  PYRO_TRY(out.flush());
  wire::FileReport report;
  report.entries = 1;
  return report;
}

VerbResult make_dir(const wire::FileRequest& request) {
  const mode_t mode = request.mode == wire::FileRequest::kDefaultMode ? 0755 : request.mode & 0777;
  const std::string path = tree::without_slashes(request.path);
  if (request.parents) {
    PYRO_TRY(make_directories(tree::split(path).directory, 0755));
  }
  wire::FileReport report;
  if (::mkdir(path.c_str(), mode) != 0) {
    const int why = errno;
    struct stat info {};
    if (request.parents && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      return report;
    }
    return file_error(why, "cannot make the directory", request.path);
  }
  if (::chmod(path.c_str(), mode) != 0) {
    return file_error(errno, "cannot set the mode of", request.path);
  }
  report.entries = 1;
  return report;
}

VerbResult remove(const wire::FileRequest& request) {
  const auto name = tree::last_name(request.path);
  if (name == "." || name == ".." || name.empty() || name == "/") {
    return base::make_error(PYRO_ERROR_INVALID, "cannot remove {}: name a file or a directory",
                            tree::shown(request.path));
  }
  wire::FileReport report;
  if (::unlink(request.path.c_str()) == 0) {
    report.entries = 1;
    return report;
  }
  const int why = errno;
  struct stat info {};
  if ((why != EISDIR && why != EPERM) || ::lstat(request.path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return file_error(why, "cannot remove", request.path);
  }
  if (request.recursive) {
    Fd directory(::open(request.path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory.valid()) {
      return file_error(errno, "cannot remove", request.path);
    }
    PYRO_TRY(empty_directory(std::move(directory), request.path, 0, report.entries));
  }
  if (::rmdir(request.path.c_str()) != 0) {
    if (errno == ENOTEMPTY) {
      return base::make_error(PYRO_ERROR_STATE, "cannot remove {}: the directory is not empty; ask for recursive",
                              tree::shown(request.path));
    }
    return file_error(errno, "cannot remove", request.path);
  }
  ++report.entries;
  return report;
}

}  // namespace pyro::guest::verbs
