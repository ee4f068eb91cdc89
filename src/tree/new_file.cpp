#include "tree/new_file.hpp"

#include "tree/file_error.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

namespace pyro::tree {

using base::Fd;
using base::Result;
using base::Status;

namespace {

constexpr mode_t kPrivate = 0600;

base::Error cannot_write(int sys_errno, const std::string& path) {
  return file_error(sys_errno, "cannot write", path);
}

// A name for an open file that has none. /proc is what everybody may use; where it is not mounted, root needs none.
int link_to(int fd, int directory, const std::string& name) {
  const std::string self = fmt::format("/proc/self/fd/{}", fd);
  const int done = ::linkat(AT_FDCWD, self.c_str(), directory, name.c_str(), AT_SYMLINK_FOLLOW);
  return done != 0 && errno == ENOENT ? ::linkat(fd, "", directory, name.c_str(), AT_EMPTY_PATH) : done;
}

}  // namespace

std::string temporary_name() {
  std::uint64_t number = 0;
  // Never fails once the kernel's pool is filled; a name that is taken is refused, not overwritten.
  (void)::getrandom(&number, sizeof number, 0);
  return fmt::format(".pyro-new-{:016x}", number);
}

Result<NewFile> NewFile::create(int directory, const std::string& shown_path) {
  Fd fd(::openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, kPrivate));
  if (fd.valid()) {
    return NewFile(directory, std::move(fd), {});
  }
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) {
    return cannot_write(errno, shown_path);
  }
  std::string name = temporary_name();
  fd.reset(::openat(directory, name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, kPrivate));
  if (!fd.valid()) {
    return cannot_write(errno, shown_path);
  }
  return NewFile(directory, std::move(fd), std::move(name));
}

NewFile::NewFile(NewFile&& other) noexcept
    : directory_(other.directory_),
      fd_(std::move(other.fd_)),
      temporary_name_(std::exchange(other.temporary_name_, {})) {}

NewFile::~NewFile() {
  if (!temporary_name_.empty()) {
    ::unlinkat(directory_, temporary_name_.c_str(), 0);
  }
}

Status NewFile::write(base::ByteView bytes, const std::string& shown_path) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_.get(), bytes.data(), bytes.size());
    if (put > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(put));
    } else if (put == 0 || errno != EINTR) {
      return cannot_write(put == 0 ? ENOSPC : errno, shown_path);
    }
  }
  return base::success();
}

Status NewFile::place(const std::string& name, bool exclusive, const std::string& shown_path) {
  if (temporary_name_.empty()) {
    if (link_to(fd_.get(), directory_, name) == 0) {
      return base::success();
    }
    if (errno != EEXIST || exclusive) {
      return cannot_write(errno, shown_path);
    }
    // Only a rename can take the place of what is there.
    std::string other = temporary_name();
    if (link_to(fd_.get(), directory_, other) != 0) {
      return cannot_write(errno, shown_path);
    }
    temporary_name_ = std::move(other);
  }
  const unsigned flags = exclusive ? RENAME_NOREPLACE : 0;
  if (::renameat2(directory_, temporary_name_.c_str(), directory_, name.c_str(), flags) != 0) {
    return cannot_write(errno, shown_path);
  }
  temporary_name_.clear();
  return base::success();
}

}  // namespace pyro::tree
