// An ELF kernel of one segment, for loading and for running.
#pragma once

#include "base/io.hpp"
#include "vmm/layout.hpp"

#include <cstring>
#include <string>

#include <doctest/doctest.h>
#include <elf.h>

namespace pyro::vmm::test {

inline base::Fd file_with(base::ByteView bytes) {
  auto fd = base::make_memfd("kernel");
  REQUIRE(fd.ok());
  REQUIRE(base::write_all(fd->get(), bytes, "a kernel").ok());
  return std::move(*fd);
}

struct Elf {
  Elf64_Ehdr header{};
  Elf64_Phdr segment{};
  std::string content;

  explicit Elf(std::string_view code = "kernel code") : content(code) {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_machine = EM_X86_64;
    header.e_entry = 16 * layout::kMib;
    header.e_phoff = sizeof(Elf64_Ehdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 1;
    segment.p_type = PT_LOAD;
    segment.p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
    segment.p_paddr = 16 * layout::kMib;
    segment.p_filesz = content.size();
    segment.p_memsz = 2 * layout::kMib;
  }

  [[nodiscard]] base::Fd file() const {
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
    bytes.append(reinterpret_cast<const char*>(&segment), sizeof(segment));
    return file_with(base::as_bytes(bytes + content));
  }
};

}  // namespace pyro::vmm::test
