#include "vmm/kernel_image.hpp"

#include "fake_kernel.hpp"
#include "vmm/layout.hpp"

#include <cstring>
#include <functional>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::vmm {

namespace {

using layout::kMib;
using test::Elf;
using test::file_with;

memory::GuestMemory make_memory(std::uint64_t mib = 64) {
  const memory::Range range{0, mib * kMib};
  auto memory = memory::GuestMemory::create(std::span(&range, 1), memory::GuestMemory::Backing::anonymous);
  REQUIRE(memory.ok());
  return std::move(*memory);
}

pyro_status refusal(const base::Fd& file, const memory::GuestMemory& memory) {
  const auto kernel = load_kernel(file.get(), memory);
  return kernel.ok() ? PYRO_OK : kernel.error().code;
}

// A bzImage of two sectors of setup and some code.
std::string bzimage() {
  std::string bytes(512 * 2 + 4096, 'c');
  const auto put = [&bytes](std::size_t offset, std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) {
      bytes[offset + i] = static_cast<char>(value >> (8 * i));
    }
  };
  put(0x1f1, 1, 1);       // setup_sects
  put(0x200, 0x6aeb, 2);  // jump: the header ends at 0x202 + 0x6a
  bytes.replace(0x202, 4, "HdrS");
  put(0x206, 0x020f, 2);     // protocol
  put(0x236, 1, 2);          // xloadflags: 64-bit entry
  put(0x258, 16 * kMib, 8);  // pref_address
  put(0x260, 8 * kMib, 4);   // init_size
  return bytes;
}

}  // namespace

TEST_SUITE("vmm") {
  TEST_CASE("kernel: an ELF file → its segments in memory, its entry point, its end") {
    const auto memory = make_memory();
    const Elf elf;
    const auto kernel = load_kernel(elf.file().get(), memory);
    REQUIRE(kernel.ok());
    CHECK(kernel->entry_gpa == 16 * kMib);
    CHECK(kernel->end_gpa == 18 * kMib);
    CHECK(kernel->setup_header.empty());
    CHECK(base::as_text(*memory.slice(16 * kMib, elf.content.size())) == elf.content);
  }

  TEST_CASE("kernel: holes of the file → zeros in memory, and nothing of what lies between them is missing") {
    const auto memory = make_memory();
    Elf elf;
    constexpr std::size_t hole = 128 * 1024;
    elf.content = "first" + std::string(2 * hole, '\0') + "second" + std::string(2 * hole, '\0');
    elf.segment.p_filesz = elf.content.size();
    const base::Fd file = elf.file();
    for (off_t offset = 0; offset < static_cast<off_t>(elf.content.size()); offset += 4096) {
      // Wherever a page of the file is zero.
      std::string page(4096, 'x');
      const ssize_t got = ::pread(file.get(), page.data(), page.size(), offset);
      if (got == 4096 && page.find_first_not_of('\0') == std::string::npos) {
        REQUIRE(::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, 4096) == 0);
      }
    }
    struct stat info {};
    REQUIRE(::fstat(file.get(), &info) == 0);
    CHECK(static_cast<std::size_t>(info.st_blocks) * 512 < hole);
    REQUIRE(load_kernel(file.get(), memory).ok());
    CHECK(base::as_text(*memory.slice(16 * kMib, elf.content.size())) == elf.content);
  }

  TEST_CASE("kernel: an ELF file that lies about itself → refused, whatever the lie") {
    const auto memory = make_memory();
    const auto refused = [&memory](const std::function<void(Elf&)>& lie) {
      Elf elf;
      lie(elf);
      return refusal(elf.file(), memory);
    };
    CHECK(refused([](Elf& elf) { elf.header.e_machine = EM_386; }) == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused([](Elf& elf) { elf.header.e_phnum = 0; }) == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused([](Elf& elf) { elf.header.e_phnum = 0xffff; }) == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused([](Elf& elf) { elf.header.e_phoff = ~std::uint64_t{0}; }) == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused([](Elf& elf) { elf.header.e_phoff = 4096; }) == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused([](Elf& elf) { elf.header.e_entry = 1; }) == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused([](Elf& elf) { elf.segment.p_filesz = elf.segment.p_memsz + 1; }) == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused([](Elf& elf) { elf.segment.p_filesz = kMib; }) == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused([](Elf& elf) { elf.segment.p_offset = ~std::uint64_t{0}; }) == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused([](Elf& elf) { elf.segment.p_paddr = 4096; }) == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused([](Elf& elf) { elf.segment.p_memsz = ~std::uint64_t{0}; }) == PYRO_ERROR_LIMIT);
    CHECK(refused([](Elf& elf) { elf.segment.p_paddr = ~std::uint64_t{0} - 4095; }) == PYRO_ERROR_LIMIT);
    CHECK(refused([](Elf& elf) { elf.segment.p_paddr = 63 * kMib; }) == PYRO_ERROR_LIMIT);
  }

  TEST_CASE("kernel: a bzImage → its code at the address it prefers, entered in 64-bit mode, with its header") {
    const auto memory = make_memory();
    const base::Fd file = file_with(base::as_bytes(bzimage()));
    const auto kernel = load_kernel(file.get(), memory);
    REQUIRE(kernel.ok());
    CHECK(kernel->entry_gpa == 16 * kMib + 0x200);
    CHECK(kernel->end_gpa == 24 * kMib);
    REQUIRE(kernel->setup_header.size() >= 0x27b - 0x1f1 - 16);
    CHECK(base::as_text(kernel->setup_header).substr(0x202 - 0x1f1, 4) == "HdrS");
    CHECK(base::as_text(*memory.slice(16 * kMib, 4)) == "cccc");
  }

  TEST_CASE("kernel: what is neither, or a bzImage that lies → refused") {
    const auto memory = make_memory();
    const auto refused = [&memory](std::string bytes) { return refusal(file_with(base::as_bytes(bytes)), memory); };
    CHECK(refused("") == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused("#!/bin/sh") == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused(std::string(4096, '\0')) == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused(bzimage().substr(0, 0x264)) == PYRO_ERROR_ENVIRONMENT);
    CHECK(refused(bzimage().substr(0, 1024 + 0x100)) == PYRO_ERROR_ENVIRONMENT);
    const auto with_byte = [](std::size_t offset, char value) {
      std::string bytes = bzimage();
      bytes[offset] = value;
      return bytes;
    };
    CHECK(refused(with_byte(0x207, 1)) == PYRO_ERROR_ENVIRONMENT);       // protocol 1.x
    CHECK(refused(with_byte(0x236, 0)) == PYRO_ERROR_ENVIRONMENT);       // no 64-bit entry
    CHECK(refused(with_byte(0x1f1, '\xff')) == PYRO_ERROR_ENVIRONMENT);  // code beyond the file
    CHECK(refused(with_byte(0x25b, 0)) == PYRO_ERROR_ENVIRONMENT);       // below 1 MiB
    CHECK(refused(with_byte(0x25f, '\x7f')) == PYRO_ERROR_LIMIT);        // beyond memory
    CHECK(refused(with_byte(0x263, '\x7f')) == PYRO_ERROR_LIMIT);        // needs 2 GiB
  }

  TEST_CASE("initrd: → at the end of low memory, page-aligned; one that does not fit is refused") {
    const auto memory = make_memory();
    std::vector<InitrdPart> parts(2);
    parts[0] = {file_with(base::as_bytes(std::string(5000, 'i'))), 4990, base::Bytes(10, std::byte{'t'})};
    parts[1] = {file_with(base::as_bytes("more")), 4, {}};
    const auto initrd = load_initrd(parts, memory, 16 * kMib);
    REQUIRE(initrd.ok());
    CHECK(initrd->gpa == 64 * kMib - 8192);
    CHECK(initrd->size_bytes == 5004);
    CHECK(base::as_text(*memory.slice(initrd->gpa, 5004)) == std::string(4990, 'i') + std::string(10, 't') + "more");
    CHECK_FALSE(load_initrd(parts, memory, 64 * kMib).ok());
    CHECK_FALSE(load_initrd({}, memory, 16 * kMib).ok());
    parts[1].size_bytes = 5;  // the file is shorter
    CHECK_FALSE(load_initrd(parts, memory, 16 * kMib).ok());
    for (const std::uint64_t size : {std::uint64_t{64} << 20, UINT64_MAX - 5000, UINT64_MAX}) {
      parts[1].size_bytes = size;
      const auto refused = load_initrd(parts, memory, 16 * kMib);
      REQUIRE_FALSE(refused.ok());
      CHECK(refused.error().code == PYRO_ERROR_LIMIT);
    }
  }
}

}  // namespace pyro::vmm
