#include "machine/initrd.hpp"

#include "base/io.hpp"

#include <cerrno>

#include <sys/sendfile.h>
#include <sys/stat.h>

namespace pyro::machine {

namespace {

// A static agent is about 2 MiB and the modules about 4: what is larger is not ours.
constexpr std::uint64_t kMaxPartBytes = 256ULL * 1024 * 1024;

base::Result<std::uint64_t> copy_whole(int from, int to, const char* what) {
  struct stat info {};
  if (::fstat(from, &info) != 0 || !S_ISREG(info.st_mode)) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "the {} is not a regular file", what);
  }
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size == 0 || size > kMaxPartBytes) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "the {} has {} bytes; expected 1 to {}", what, size, kMaxPartBytes);
  }
  off_t offset = 0;
  while (static_cast<std::uint64_t>(offset) < size) {
    const ssize_t copied = ::sendfile(to, from, &offset, size - static_cast<std::uint64_t>(offset));
    if (copied < 0 && errno == EINTR) {
      continue;
    }
    if (copied <= 0) {
      return base::errno_error(copied == 0 ? EIO : errno, fmt::format("cannot read the {}", what));
    }
  }
  return size;
}

// One entry's header in "newc" form (cpio(5)): 13 numbers of 8 hexadecimal digits; name and data are
// padded to 4 bytes.
std::string cpio_header(std::string_view name, std::uint32_t mode, std::uint64_t size, std::uint32_t inode) {
  std::string out = fmt::format("070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
                                inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.size() + 1, 0);
  out += name;
  out.push_back('\0');
  out.resize((out.size() + 3) & ~std::size_t{3}, '\0');
  return out;
}

base::Status pad(int fd, std::uint64_t written) {
  const std::string zeros((4 - written % 4) % 4, '\0');
  return base::write_all(fd, base::as_bytes(zeros), "the initial file system");
}

}  // namespace

base::Result<base::Fd> make_initrd(int modules, int agent) {
  PYRO_TRY_ASSIGN(base::Fd initrd, base::make_memfd("pyro-initrd"));
  PYRO_TRY_ASSIGN(const std::uint64_t modules_bytes, copy_whole(modules, initrd.get(), "environment's initramfs"));
  PYRO_TRY(pad(initrd.get(), modules_bytes));
  struct stat info {};
  if (::fstat(agent, &info) != 0) {
    return base::errno_error(errno, "cannot read the guest agent");
  }
  const auto header = cpio_header("init", S_IFREG | 0755, static_cast<std::uint64_t>(info.st_size), 1);
  PYRO_TRY(base::write_all(initrd.get(), base::as_bytes(header), "the initial file system"));
  PYRO_TRY_ASSIGN(const std::uint64_t agent_bytes, copy_whole(agent, initrd.get(), "guest agent"));
  PYRO_TRY(pad(initrd.get(), agent_bytes));
  const auto trailer = cpio_header("TRAILER!!!", 0, 0, 0);
  PYRO_TRY(base::write_all(initrd.get(), base::as_bytes(trailer), "the initial file system"));
  return initrd;
}

}  // namespace pyro::machine
