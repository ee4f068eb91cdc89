#include "guest/files.hpp"

#include "base/io.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pyro::guest {

using base::Fd;
using base::Result;
using base::Status;

namespace {

// Files of /proc, /sys and cgroupfs that the agent reads have a few hundred bytes.
constexpr std::size_t kMaxKernelFileBytes = 64 * 1024;

Status put(int fd, std::string_view text, const std::string& path) {
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return base::errno_error(errno, "cannot write " + path);
  }
  return base::success();
}

}  // namespace

Status write_file(const std::string& path, std::string_view text) {
  return write_file_at(AT_FDCWD, path, text);
}

Status write_file_at(int directory, const std::string& path, std::string_view text) {
  const Fd fd(::openat(directory, path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return base::errno_error(errno, "cannot open " + path);
  }
  return put(fd.get(), text, path);
}

std::string read_file_at(int directory, const std::string& path) {
  const Fd fd(::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return {};
  }
  auto text = base::read_all(fd.get(), kMaxKernelFileBytes, path);
  return text.ok() ? std::move(text).value() : std::string();
}

Result<Fd> open_in(int root, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  if ((flags & O_PATH) == 0) {
    how.flags |= O_NONBLOCK | O_NOCTTY;
  }
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
  if (fd < 0) {
    return base::errno_error(errno, "cannot open /" + path + " in the guest");
  }
  return Fd(static_cast<int>(fd));
}

Result<Fd> directory_in(int root, const std::string& path, mode_t mode) {
  if (::mkdirat(root, path.c_str(), mode) == 0) {
    // mkdir() applies the umask.
    ::fchmodat(root, path.c_str(), mode, 0);
  }
  return open_in(root, path, O_PATH | O_DIRECTORY);
}

Status put_file_in(int root, const std::string& path, std::string_view content, mode_t mode) {
  PYRO_TRY_ASSIGN(const Fd fd, open_in(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode));
  return put(fd.get(), content, "/" + path);
}

std::string read_file_in(int root, const std::string& path, std::size_t max_bytes) {
  const auto fd = open_in(root, path, O_RDONLY);
  struct stat info {};
  if (!fd.ok() || ::fstat(fd->get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return {};
  }
  std::string text(std::min(static_cast<std::size_t>(info.st_size), max_bytes), '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd->get(), text.data() + size, text.size() - size);
    if (got <= 0) {
      break;
    }
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

Status mount_on(const char* source, const std::string& target, const char* type, unsigned long flags,
                const char* options) {
  if (::mount(source, target.c_str(), type, flags, options) != 0) {
    return base::errno_error(errno, fmt::format("cannot mount {} on {}", type != nullptr ? type : source, target));
  }
  return base::success();
}

std::string fd_path(int fd) {
  return fmt::format("/proc/self/fd/{}", fd);
}

}  // namespace pyro::guest
