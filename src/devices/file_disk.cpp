#include "devices/file_disk.hpp"

#include "devices/vectored_io.hpp"

#include <cerrno>

#include <sys/stat.h>
#include <unistd.h>

namespace pyro::devices {

base::Result<std::uint64_t> disk_size_bytes(const base::Fd& file) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    return base::errno_error(errno, "cannot look at a disk image");
  }
  if (!S_ISREG(status.st_mode) || status.st_size < static_cast<off_t>(kSectorBytes)) {
    return base::make_error(PYRO_ERROR_INVALID, "a disk image that is not a file of at least {} bytes", kSectorBytes);
  }
  return static_cast<std::uint64_t>(status.st_size) / kSectorBytes * kSectorBytes;
}

base::Result<std::unique_ptr<FileDisk>> FileDisk::open(base::Fd file, Access access) {
  PYRO_TRY_ASSIGN(const std::uint64_t size_bytes, disk_size_bytes(file));
  return std::unique_ptr<FileDisk>(new FileDisk(std::move(file), size_bytes, access));
}

int FileDisk::read(std::uint64_t offset, std::span<iovec> pieces) noexcept {
  return read_fully(file_.get(), offset, pieces);
}

int FileDisk::write(std::uint64_t offset, std::span<iovec> pieces) noexcept {
  return read_only() ? EROFS : write_fully(file_.get(), offset, pieces);
}

int FileDisk::flush() noexcept {
  return !read_only() && ::fdatasync(file_.get()) != 0 ? errno : 0;
}

int FileDisk::discard(std::uint64_t offset, std::uint64_t length) noexcept {
  const int error = punch(offset, length);
  return error == EOPNOTSUPP ? 0 : error;  // a hint
}

int FileDisk::write_zeroes(std::uint64_t offset, std::uint64_t length) noexcept {
  return punch(offset, length);
}

int FileDisk::punch(std::uint64_t offset, std::uint64_t length) noexcept {
  if (read_only()) {
    return EROFS;
  }
  if (length == 0) {
    return 0;
  }
  return punch_hole(file_.get(), offset, length);
}

}  // namespace pyro::devices
