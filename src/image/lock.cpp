#include "image/lock.hpp"

#include "base/io.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace pyro::image {

namespace {

/// True: locked; false: another process has it.
base::Result<bool> lock_file(int fd, const std::string& path, int operation) {
  while (::flock(fd, operation) != 0) {
    if (errno == EWOULDBLOCK) {
      return false;
    }
    if (errno != EINTR) {
      return base::errno_error(errno, "cannot lock " + path);
    }
  }
  return true;
}

int operation_of(LockKind kind) {
  return kind == LockKind::shared ? LOCK_SH : LOCK_EX;
}

}  // namespace

base::Result<std::optional<FileLock>> FileLock::try_acquire(const std::string& path, LockKind kind) {
  PYRO_TRY_ASSIGN(base::Fd fd, base::open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  PYRO_TRY_ASSIGN(const bool locked, lock_file(fd.get(), path, operation_of(kind) | LOCK_NB));
  if (!locked) {
    return std::optional<FileLock>();
  }
  return std::optional<FileLock>(FileLock(std::move(fd)));
}

base::Result<FileLock> FileLock::acquire(const std::string& path, LockKind kind, pid_t holder, Report& report) {
  PYRO_TRY_ASSIGN(base::Fd fd, base::open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  PYRO_TRY_ASSIGN(bool locked, lock_file(fd.get(), path, operation_of(kind) | LOCK_NB));
  if (!locked) {
    const auto owner = base::read_file(path, 64);
    const bool known = owner.ok() && !owner.value().empty();
    report.progress("waiting", known ? fmt::format("waiting for another process (pid {})", owner.value())
                                     : std::string("waiting for another process"));
    PYRO_TRY_ASSIGN(locked, lock_file(fd.get(), path, operation_of(kind)));
  }
  if (kind == LockKind::exclusive) {
    // For people only; a full disk must not keep anybody from the lock.
    const std::string text = std::to_string(holder);
    if (::ftruncate(fd.get(), 0) == 0) {
      (void)!::pwrite(fd.get(), text.data(), text.size(), 0);
    }
  }
  return FileLock(std::move(fd));
}

}  // namespace pyro::image
