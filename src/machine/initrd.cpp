#include "machine/initrd.hpp"

#include "base/io.hpp"

#include <cerrno>

#include <sys/sendfile.h>
#include <sys/stat.h>

namespace pyro::machine {

namespace {

// A static agent is about 2 MiB and the modules about 4: what is larger is not ours.
constexpr std::uint64_t kMaxPartBytes = 256ULL * 1024 * 1024;

base::Result<vmm::InitrdPart> make_part(base::Fd file, const char* what) {
  struct stat info {};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "the {} is not a regular file", what);
  }
  vmm::InitrdPart part;
  part.size_bytes = static_cast<std::uint64_t>(info.st_size);
  if (part.size_bytes == 0 || part.size_bytes > kMaxPartBytes) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "the {} has {} bytes; expected 1 to {}", what, part.size_bytes,
                            kMaxPartBytes);
  }
  part.file = std::move(file);
  part.tail.resize((4 - part.size_bytes % 4) % 4);
  return part;
}

base::Status copy(const vmm::InitrdPart& part, int to) {
  off_t offset = 0;
  while (static_cast<std::uint64_t>(offset) < part.size_bytes) {
    const ssize_t copied =
        ::sendfile(to, part.file.get(), &offset, part.size_bytes - static_cast<std::uint64_t>(offset));
    if (copied < 0 && errno == EINTR) {
      continue;
    }
    if (copied <= 0) {
      return base::errno_error(copied == 0 ? EIO : errno, "cannot read the initial file system");
    }
  }
  return base::write_all(to, part.tail, "the initial file system");
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

void append(base::Bytes& bytes, const std::string& text) {
  const auto more = base::as_bytes(text);
  bytes.insert(bytes.end(), more.begin(), more.end());
}

}  // namespace

base::Result<std::vector<vmm::InitrdPart>> initrd_parts(base::Fd modules, base::Fd agent) {
  std::vector<vmm::InitrdPart> parts(2);
  PYRO_TRY_ASSIGN(parts[0], make_part(std::move(modules), "environment's initramfs"));
  PYRO_TRY_ASSIGN(parts[1], make_part(std::move(agent), "guest agent"));
  append(parts[0].tail, cpio_header("init", S_IFREG | 0755, parts[1].size_bytes, 1));
  append(parts[1].tail, cpio_header("TRAILER!!!", 0, 0, 0));
  return parts;
}

base::Result<base::Fd> make_initrd(base::Fd modules, base::Fd agent) {
  PYRO_TRY_ASSIGN(const auto parts, initrd_parts(std::move(modules), std::move(agent)));
  PYRO_TRY_ASSIGN(base::Fd initrd, base::make_memfd("pyro-initrd"));
  for (const vmm::InitrdPart& part : parts) {
    PYRO_TRY(copy(part, initrd.get()));
  }
  return initrd;
}

}  // namespace pyro::machine
