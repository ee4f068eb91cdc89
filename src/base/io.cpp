#include "base/io.hpp"

#include <array>
#include <atomic>
#include <cerrno>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::base {

Result<Fd> open_file(const std::string& path, int flags, unsigned mode) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) {
    return errno_error(errno, "cannot open " + path);
  }
  return Fd(fd);
}

Result<std::string> read_all(int fd, std::size_t max_bytes, const std::string& what) {
  std::string out;
  std::array<char, 16384> buffer;
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno_error(errno, "cannot read " + what);
    }
    if (got == 0) {
      return out;
    }
    out.append(buffer.data(), static_cast<std::size_t>(got));
    if (out.size() > max_bytes) {
      return make_error(PYRO_ERROR_LIMIT, "{} is larger than the {} bytes it may have", what, max_bytes);
    }
  }
}

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  PYRO_TRY_ASSIGN(const Fd fd, open_file(path, O_RDONLY));
  return read_all(fd.get(), max_bytes, path);
}

Result<Bytes> read_range(int fd, std::uint64_t offset, std::size_t size, const std::string& what) {
  Bytes bytes(size);
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = ::pread(fd, bytes.data() + filled, bytes.size() - filled, static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return errno_error(errno, "cannot read " + what);
    }
    if (got == 0) {
      break;
    }
    filled += static_cast<std::size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

Status write_all(int fd, ByteView bytes, const std::string& what) {
  bool is_socket = true;
  while (!bytes.empty()) {
    const ssize_t put =
        is_socket ? ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) : ::write(fd, bytes.data(), bytes.size());
    if (put < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (errno == ENOTSOCK && is_socket) {
        is_socket = false;
        continue;
      }
      return errno_error(errno, "cannot write " + what);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return success();
}

Status write_file_atomically(const std::string& path, std::string_view content, unsigned mode) {
  static std::atomic<unsigned> counter{0};
  const std::string temporary = fmt::format("{}.{}.{}.tmp", path, ::getpid(), counter.fetch_add(1));
  auto put = [&]() -> Status {
    PYRO_TRY_ASSIGN(const Fd fd, open_file(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
    PYRO_TRY(write_all(fd.get(), as_bytes(content), path));
    if (::fsync(fd.get()) != 0) {
      return errno_error(errno, "cannot write " + path);
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
      return errno_error(errno, "cannot put " + path + " in place");
    }
    return success();
  };
  auto status = put();
  if (!status.ok()) {
    ::unlink(temporary.c_str());
  }
  return status;
}

Status sync_directory(const std::string& path) {
  PYRO_TRY_ASSIGN(const Fd fd, open_file(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0 && errno != EINVAL && errno != EROFS) {
    return errno_error(errno, "cannot write " + path);
  }
  return success();
}

Status make_directories(const std::string& path, unsigned mode) {
  if (::mkdir(path.c_str(), mode) == 0) {
    return success();
  }
  if (errno == EEXIST) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      return success();
    }
    return errno_error(ENOTDIR, "cannot create directory " + path);
  }
  const auto slash = path.find_last_of('/');
  if (errno == ENOENT && slash != std::string::npos && slash > 0) {
    PYRO_TRY(make_directories(path.substr(0, slash), mode));
    if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) {
      return success();
    }
  }
  return errno_error(errno, "cannot create directory " + path);
}

}  // namespace pyro::base
