// Reading and writing one file.
#include "base/io.hpp"
#include "guest/file_verbs.hpp"
#include "tree/file_error.hpp"
#include "tree/new_file.hpp"
#include "tree/paths.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <optional>

#include <fcntl.h>
#include <unistd.h>

namespace pyro::guest::verbs {

using base::Fd;
using base::Result;
using base::Status;
using tree::file_error;

namespace {

constexpr std::size_t kContentBufferBytes = 64 * 1024;
constexpr mode_t kPermissions = 0777;

base::Error cut_off(const std::string& path) {
  return base::make_error(PYRO_ERROR_INVALID, "cannot write {}: its content was cut off", tree::shown(path));
}

// Exactly `size` bytes of standard input; false if it ends before.
Result<bool> read_input(std::byte* to, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::read(0, to, size);
    if (got < 0 && errno != EINTR) {
      return base::errno_error(errno, "cannot read the input");
    }
    if (got == 0) {
      return false;
    }
    if (got > 0) {
      to += got;
      size -= static_cast<std::size_t>(got);
    }
  }
  return true;
}

Status take_content(tree::NewFile& file, const std::string& path, std::uint64_t& total) {
  std::array<std::byte, kContentBufferBytes> buffer;
  while (true) {
    std::array<std::byte, sizeof(std::uint32_t)> head;
    PYRO_TRY_ASSIGN(const bool has_head, read_input(head.data(), head.size()));
    if (!has_head) {
      return cut_off(path);
    }
    std::size_t left = base::ByteReader(head).u32();
    if (left == 0) {
      return base::success();
    }
    while (left > 0) {
      const std::size_t now = std::min(left, buffer.size());
      PYRO_TRY_ASSIGN(const bool has_piece, read_input(buffer.data(), now));
      if (!has_piece) {
        return cut_off(path);
      }
      PYRO_TRY(file.write(base::ByteView(buffer).first(now), path));
      total += now;
      left -= now;
    }
  }
}

struct Target {
  /// With links resolved: what is renamed over a link would take the link's place.
  tree::SplitPath path;
  /// Of the file that is there.
  std::optional<struct stat> old;
};

Result<Target> find_target(const wire::FileRequest& request) {
  Target target;
  target.path = tree::split(request.path);
  if (request.parents) {
    PYRO_TRY(make_directories(target.path.directory, 0755));
  }
  struct stat info {};
  if (::lstat(request.path.c_str(), &info) != 0) {
    if (errno != ENOENT) {
      return file_error(errno, "cannot write", request.path);
    }
    if (target.path.name.empty()) {
      return file_error(EISDIR, "cannot write", request.path);
    }
    return target;
  }
  if (request.exclusive) {
    return file_error(EEXIST, "cannot write", request.path);
  }
  std::string real = request.path;
  if (S_ISLNK(info.st_mode)) {
    std::array<char, PATH_MAX> resolved;
    if (::realpath(request.path.c_str(), resolved.data()) == nullptr || ::stat(resolved.data(), &info) != 0) {
      return file_error(errno, "cannot write through the symbolic link", request.path);
    }
    real = resolved.data();
  }
  if (!S_ISREG(info.st_mode)) {
    return S_ISDIR(info.st_mode) ? file_error(EISDIR, "cannot write", request.path)
                                 : base::make_error(PYRO_ERROR_STATE, "cannot write {}: it is no regular file",
                                                    tree::shown(request.path));
  }
  target.path = tree::split(real);
  target.old = info;
  return target;
}

}  // namespace

VerbResult read(const wire::FileRequest& request) {
  // No wait for a FIFO's other end.
  const Fd file(::open(request.path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) {
    return file_error(errno, "cannot read", request.path);
  }
  if (S_ISDIR(info.st_mode)) {
    return file_error(EISDIR, "cannot read", request.path);
  }
  if (!S_ISREG(info.st_mode)) {
    return base::make_error(PYRO_ERROR_STATE, "cannot read {}: it is no regular file", tree::shown(request.path));
  }
  if (request.offset > static_cast<std::uint64_t>(INT64_MAX) ||
      ::lseek(file.get(), static_cast<off_t>(request.offset), SEEK_SET) < 0) {
    return base::make_error(PYRO_ERROR_INVALID, "cannot read {} from {} on: no file is that long",
                            tree::shown(request.path), request.offset);
  }
  wire::FileReport report;
  std::array<std::byte, kContentBufferBytes> buffer;
  while (true) {
    // One byte beyond the limit tells whether there is more: files of /proc do not say how long they are.
    const std::uint64_t left = request.max_bytes - report.bytes;
    const auto want =
        static_cast<std::size_t>(std::min<std::uint64_t>(std::max<std::uint64_t>(left, 1), buffer.size()));
    const ssize_t got = ::read(file.get(), buffer.data(), want);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return file_error(errno, "cannot read", request.path);
    }
    if (got == 0) {
      break;
    }
    if (left == 0) {
      report.truncated = true;
      break;
    }
    PYRO_TRY(base::write_all(1, base::ByteView(buffer).first(static_cast<std::size_t>(got)), "the output"));
    report.bytes += static_cast<std::uint64_t>(got);
  }
  report.size = std::max(static_cast<std::uint64_t>(info.st_size), request.offset + report.bytes);
  report.entries = 1;
  return report;
}

VerbResult write(const wire::FileRequest& request) {
  PYRO_TRY_ASSIGN(const Target target, find_target(request));
  PYRO_TRY_ASSIGN(const Fd directory, tree::open_directory(target.path.directory));
  PYRO_TRY_ASSIGN(tree::NewFile file, tree::NewFile::create(directory.get(), request.path));
  wire::FileReport report;
  PYRO_TRY(take_content(file, request.path, report.bytes));
  mode_t mode = target.old ? target.old->st_mode : 0644;
  if (request.mode != wire::FileRequest::kDefaultMode) {
    mode = request.mode;
  }
  if (target.old && target.old->st_uid != ::geteuid()) {
    // Whoever may not give it away keeps it.
    (void)::fchown(file.fd(), target.old->st_uid, target.old->st_gid);
  }
  if (::fchmod(file.fd(), mode & kPermissions) != 0) {
    return file_error(errno, "cannot set the mode of", request.path);
  }
  if (::fsync(file.fd()) != 0) {
    return file_error(errno, "cannot write", request.path);
  }
  PYRO_TRY(file.place(target.path.name, request.exclusive, request.path));
  report.entries = 1;
  report.size = report.bytes;
  return report;
}

}  // namespace pyro::guest::verbs
