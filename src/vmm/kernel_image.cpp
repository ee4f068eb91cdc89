#include "vmm/kernel_image.hpp"

#include "vmm/layout.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::vmm {

namespace {

// A Linux kernel has five program headers; many more are not a kernel.
constexpr std::uint16_t kMaxProgramHeaders = 64;

// Offsets in the setup header of a bzImage (boot.rst, "The Real-Mode Kernel Header").
constexpr std::uint64_t kSetupHeaderOffset = 0x1f1;
constexpr std::uint64_t kJumpOffset = 0x200;
constexpr std::uint64_t kMagicOffset = 0x202;
constexpr std::uint64_t kProtocolOffset = 0x206;
constexpr std::uint64_t kXloadflagsOffset = 0x236;
constexpr std::uint64_t kPrefAddressOffset = 0x258;
constexpr std::uint64_t kInitSizeOffset = 0x260;
constexpr std::uint64_t kHeaderReadBytes = 0x268;
// The header ends 0x202 + the byte at 0x201; the zero page has room for it up to its e820 table.
constexpr std::uint64_t kSetupHeaderEndMax = 0x290;
// xloadflags and init_size together exist since protocol 2.12.
constexpr std::uint16_t kMinProtocol = 0x020c;
constexpr std::uint16_t kXlfKernel64 = 1;
constexpr std::uint64_t kEntry64Offset = 0x200;
constexpr std::uint64_t kSectorBytes = 512;

base::Error not_a_kernel(std::string_view why) {
  return base::make_error(PYRO_ERROR_ENVIRONMENT, "the environment's kernel cannot be started: {}", why);
}

base::Error does_not_fit(std::string_view what) {
  return base::make_error(PYRO_ERROR_LIMIT, "the {} does not fit into the VM's memory; give it more (mem_mib)", what);
}

// All of `out` from `offset`; false if the file is shorter or cannot be read.
bool read_at(int fd, std::uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return false;
    }
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

// The same for memory that is zero: holes of the file are skipped.
bool read_into_zeros(int fd, std::uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const off_t data = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0) {
      if (errno == ENXIO) {
        // A hole up to the file's end, which may come too early.
        const off_t end = ::lseek(fd, 0, SEEK_END);
        return end >= 0 && static_cast<std::uint64_t>(end) >= offset + out.size();
      }
      return read_at(fd, offset, out);  // a file system that does not know
    }
    const auto skipped = static_cast<std::uint64_t>(data) - offset;
    if (skipped >= out.size()) {
      return true;
    }
    offset += skipped;
    out = out.subspan(skipped);
    const off_t hole = ::lseek(fd, data, SEEK_HOLE);
    const auto size =
        hole > data ? std::min<std::uint64_t>(static_cast<std::uint64_t>(hole - data), out.size()) : out.size();
    if (!read_at(fd, offset, out.first(size))) {
      return false;
    }
    offset += size;
    out = out.subspan(size);
  }
  return true;
}

template <typename T>
bool read_value(int fd, std::uint64_t offset, T& value) {
  return read_at(fd, offset, std::as_writable_bytes(std::span(&value, 1)));
}

base::Result<std::uint64_t> file_bytes(int fd, const char* what) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= 0) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "the {} is not a regular file with something in it", what);
  }
  return static_cast<std::uint64_t>(info.st_size);
}

base::Result<LoadedKernel> load_elf(int fd, const Elf64_Ehdr& header, std::uint64_t file_size,
                                    const memory::GuestMemory& memory) {
  if (header.e_machine != EM_X86_64 || header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 ||
      header.e_phnum > kMaxProgramHeaders) {
    return not_a_kernel("it is an ELF file, but not an x86-64 program");
  }
  LoadedKernel kernel;
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    const std::uint64_t table_offset = i * sizeof(Elf64_Phdr);
    if (header.e_phoff > file_size || !read_value(fd, header.e_phoff + table_offset, segment)) {
      return not_a_kernel("its program headers are cut off");
    }
    if (segment.p_type != PT_LOAD || segment.p_memsz == 0) {
      continue;
    }
    if (segment.p_filesz > segment.p_memsz || segment.p_offset > file_size ||
        segment.p_filesz > file_size - segment.p_offset) {
      return not_a_kernel("one of its segments is cut off");
    }
    if (segment.p_paddr < layout::kKernelGpa) {
      return not_a_kernel("one of its segments lies below 1 MiB");
    }
    // What is not in the file is zero, as the memory of a new guest is.
    const auto target = memory.slice(segment.p_paddr, segment.p_memsz);
    if (!target) {
      return does_not_fit("kernel");
    }
    if (!read_into_zeros(fd, segment.p_offset, target->first(segment.p_filesz))) {
      return not_a_kernel("it cannot be read");
    }
    kernel.end_gpa = std::max(kernel.end_gpa, segment.p_paddr + segment.p_memsz);
    if (header.e_entry >= segment.p_paddr && header.e_entry - segment.p_paddr < segment.p_filesz) {
      kernel.entry_gpa = header.e_entry;
    }
  }
  if (kernel.entry_gpa == 0) {
    return not_a_kernel("its entry point lies outside of it");
  }
  return kernel;
}

base::Result<LoadedKernel> load_bzimage(int fd, std::uint64_t file_size, const memory::GuestMemory& memory) {
  base::Bytes head(kHeaderReadBytes);
  if (!read_at(fd, 0, head)) {
    return not_a_kernel("it is neither ELF nor bzImage");
  }
  const auto at = [&head](std::uint64_t offset) { return base::ByteReader(base::ByteView(head).subspan(offset)); };
  if (base::as_text(at(kMagicOffset).raw(4)) != "HdrS") {
    return not_a_kernel("it is neither ELF nor bzImage");
  }
  if (at(kProtocolOffset).u16() < kMinProtocol || (at(kXloadflagsOffset).u16() & kXlfKernel64) == 0) {
    return not_a_kernel("it is a bzImage without a 64-bit entry point");
  }
  // 0 stands for 4, for historical reasons.
  const std::uint64_t setup_sects = at(kSetupHeaderOffset).u8();
  const std::uint64_t code_offset = ((setup_sects == 0 ? 4 : setup_sects) + 1) * kSectorBytes;
  const std::uint64_t load_gpa = at(kPrefAddressOffset).u64();
  const std::uint64_t init_bytes = at(kInitSizeOffset).u32();
  if (code_offset >= file_size || load_gpa < layout::kKernelGpa) {
    return not_a_kernel("its header makes no sense");
  }
  const std::uint64_t code_bytes = file_size - code_offset;
  // init_size is what it needs for unpacking itself in place.
  const std::uint64_t needed_bytes = std::max(init_bytes, code_bytes);
  const auto target = memory.slice(load_gpa, needed_bytes);
  if (!target) {
    return does_not_fit("kernel");
  }
  if (code_bytes <= kEntry64Offset || !read_at(fd, code_offset, target->first(code_bytes))) {
    return not_a_kernel("it cannot be read");
  }
  LoadedKernel kernel;
  kernel.entry_gpa = load_gpa + kEntry64Offset;
  kernel.end_gpa = load_gpa + needed_bytes;
  const std::uint64_t header_end =
      std::min<std::uint64_t>({kMagicOffset + at(kJumpOffset + 1).u8(), kSetupHeaderEndMax, file_size});
  kernel.setup_header.resize(std::max(header_end, kHeaderReadBytes) - kSetupHeaderOffset);
  if (!read_at(fd, kSetupHeaderOffset, kernel.setup_header)) {
    return not_a_kernel("its header is cut off");
  }
  return kernel;
}

}  // namespace

base::Result<LoadedKernel> load_kernel(int fd, const memory::GuestMemory& memory) {
  PYRO_TRY_ASSIGN(const std::uint64_t file_size, file_bytes(fd, "environment's kernel"));
  Elf64_Ehdr header{};
  if (read_value(fd, 0, header) && std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
      header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == ELFDATA2LSB) {
    return load_elf(fd, header, file_size, memory);
  }
  return load_bzimage(fd, file_size, memory);
}

base::Result<LoadedInitrd> load_initrd(std::span<const InitrdPart> parts, const memory::GuestMemory& memory,
                                       std::uint64_t kernel_end_gpa) {
  const memory::Region& low = memory.regions().front();
  const std::uint64_t end_max = std::min(low.gpa + low.size_bytes, layout::kInitrdEndMax);
  std::uint64_t size = 0;
  for (const InitrdPart& part : parts) {
    if (part.size_bytes > end_max || part.tail.size() > end_max - part.size_bytes ||
        size > end_max - part.size_bytes - part.tail.size()) {
      return does_not_fit("initial file system");
    }
    size += part.size_bytes + part.tail.size();
  }
  if (size == 0) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "the initial file system is empty");
  }
  if (layout::align_down(end_max - size, layout::kPageBytes) < kernel_end_gpa) {
    return does_not_fit("initial file system");
  }
  const LoadedInitrd initrd{layout::align_down(end_max - size, layout::kPageBytes), size};
  auto target = memory.slice(initrd.gpa, size);
  for (const InitrdPart& part : parts) {
    if (!target || !read_at(part.file.get(), 0, target->first(part.size_bytes))) {
      return base::make_error(PYRO_ERROR_ENVIRONMENT, "the initial file system cannot be read");
    }
    std::copy(part.tail.begin(), part.tail.end(), target->begin() + static_cast<std::ptrdiff_t>(part.size_bytes));
    target = target->subspan(part.size_bytes + part.tail.size());
  }
  return initrd;
}

}  // namespace pyro::vmm
