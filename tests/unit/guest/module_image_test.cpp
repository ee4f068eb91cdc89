#include "guest/module_image.hpp"

#include "base/bytes.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <elf.h>

namespace pyro::guest {

namespace {

constexpr std::size_t kCodeBytes = 64;
// Sections of the module.
constexpr std::size_t kTraceCalls = 3;
constexpr std::size_t kUnwindAddresses = 6;
constexpr std::size_t kUnwindEntries = 7;
constexpr std::size_t kUnwindRelocations = 8;
constexpr std::size_t kNames = 9;
const std::string kNopBytes("\x0f\x1f\x44\x00\x00", 5);

/// A module of one section of code, with calls where they are wanted, and tables for unwinding.
struct ModuleFile {
  struct Call {
    std::uint64_t at;
    std::uint32_t symbol;  // 1: __fentry__, 2: another function
  };

  explicit ModuleFile(const std::vector<Call>& calls) : code(kCodeBytes, '\x90') {
    for (const Call& call : calls) {
      if (call.at < kCodeBytes) {
        code.replace(call.at, 5, std::string("\xe8\0\0\0\0", 5));
      }
      relocations.push_back({call.at + 1, ELF64_R_INFO(std::uint64_t{call.symbol}, R_X86_64_PLT32), -4});
    }
  }

  [[nodiscard]] std::vector<std::byte> file() const {
    const std::string names(
        "\0.text\0.rela.text\0__mcount_loc\0.symtab\0.strtab\0.orc_unwind_ip\0.orc_unwind\0.rela.orc_unwind_ip\0", 94);
    const std::string symbol_names("\0__fentry__\0other\0", 18);
    std::vector<Elf64_Sym> symbols(3);
    symbols[1].st_name = 1;
    symbols[2].st_name = 12;
    std::string out(sizeof(Elf64_Ehdr), '\0');
    std::vector<Elf64_Shdr> sections(10);
    const auto add = [&](std::size_t index, std::uint32_t name, std::uint32_t type, const void* bytes,
                         std::size_t size) {
      Elf64_Shdr& section = sections[index];
      section.sh_name = name;
      section.sh_type = type;
      section.sh_offset = out.size();
      section.sh_size = size;
      out.append(static_cast<const char*>(bytes), size);
    };
    add(1, 1, SHT_PROGBITS, code.data(), code.size());
    sections[1].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
    add(2, 7, SHT_RELA, relocations.data(), relocations.size() * sizeof(Elf64_Rela));
    sections[2].sh_link = 4;
    sections[2].sh_info = 1;
    add(3, 18, SHT_PROGBITS, "12345678", 8);
    sections[3].sh_flags = SHF_ALLOC;
    add(4, 31, SHT_SYMTAB, symbols.data(), symbols.size() * sizeof(Elf64_Sym));
    sections[4].sh_link = 5;
    add(5, 39, SHT_STRTAB, symbol_names.data(), symbol_names.size());
    add(kNames, 0, SHT_STRTAB, names.data(), names.size());
    add(kUnwindAddresses, 47, SHT_PROGBITS, "12345678", 8);
    sections[kUnwindAddresses].sh_flags = SHF_ALLOC;
    add(kUnwindEntries, 62, SHT_PROGBITS, "123456123456", 12);
    sections[kUnwindEntries].sh_flags = SHF_ALLOC;
    add(kUnwindRelocations, 74, SHT_RELA, nullptr, 0);
    sections[kUnwindRelocations].sh_link = 4;
    sections[kUnwindRelocations].sh_info = kUnwindAddresses;
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_REL;
    header.e_machine = EM_X86_64;
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = static_cast<std::uint16_t>(sections.size());
    header.e_shstrndx = kNames;
    header.e_shoff = out.size();
    out.append(reinterpret_cast<const char*>(sections.data()), sections.size() * sizeof(Elf64_Shdr));
    std::memcpy(out.data(), &header, sizeof header);
    const auto bytes = base::as_bytes(out);
    return {bytes.begin(), bytes.end()};
  }

  std::string code;
  std::vector<Elf64_Rela> relocations;
};

std::string code_of(const std::vector<std::byte>& file) {
  return std::string(base::as_text(file).substr(sizeof(Elf64_Ehdr), kCodeBytes));
}

Elf64_Rela relocation_of(const std::vector<std::byte>& file, std::size_t index) {
  Elf64_Rela relocation;
  std::memcpy(&relocation, file.data() + sizeof(Elf64_Ehdr) + kCodeBytes + index * sizeof relocation,
              sizeof relocation);
  return relocation;
}

Elf64_Shdr section_of(const std::vector<std::byte>& file, std::size_t index) {
  Elf64_Ehdr header;
  std::memcpy(&header, file.data(), sizeof header);
  Elf64_Shdr section;
  std::memcpy(&section, file.data() + header.e_shoff + index * sizeof section, sizeof section);
  return section;
}

void set_section(std::vector<std::byte>& file, std::size_t index, const Elf64_Shdr& section) {
  Elf64_Ehdr header;
  std::memcpy(&header, file.data(), sizeof header);
  std::memcpy(file.data() + header.e_shoff + index * sizeof section, &section, sizeof section);
}

bool takes_memory(const std::vector<std::byte>& file, std::size_t index) {
  return (section_of(file, index).sh_flags & SHF_ALLOC) != 0;
}

}  // namespace

TEST_SUITE("guest") {
  TEST_CASE("module: calls of __fentry__ → no-operations that are not relocated, and no list of them") {
    const ModuleFile made({{0, 1}, {16, 2}, {59, 1}});
    std::vector<std::byte> file = made.file();
    CHECK(takes_memory(file, kTraceCalls));
    CHECK(remove_trace_calls(file) == 2);
    std::string wanted = made.code;
    wanted.replace(0, 5, kNopBytes).replace(59, 5, kNopBytes);
    CHECK(code_of(file) == wanted);
    CHECK(ELF64_R_TYPE(relocation_of(file, 0).r_info) == R_X86_64_NONE);
    CHECK(ELF64_R_TYPE(relocation_of(file, 1).r_info) == R_X86_64_PLT32);
    CHECK(ELF64_R_TYPE(relocation_of(file, 2).r_info) == R_X86_64_NONE);
    CHECK_FALSE(takes_memory(file, kTraceCalls));
    CHECK(remove_trace_calls(file) == 0);
  }

  TEST_CASE("module: a call that is none, or beyond its section → nothing is changed") {
    std::vector<ModuleFile> odd;
    odd.emplace_back(ModuleFile({{0, 1}, {8, 1}}));
    odd.back().code[8] = '\x90';
    for (const std::uint64_t at :
         {std::uint64_t{kCodeBytes}, std::uint64_t{kCodeBytes - 4}, UINT64_MAX - 1, UINT64_MAX}) {
      odd.emplace_back(ModuleFile({{0, 1}}));
      odd.back().relocations.push_back({at + 1, ELF64_R_INFO(std::uint64_t{1}, R_X86_64_PLT32), -4});
    }
    odd.emplace_back(ModuleFile({{0, 1}}));
    odd.back().relocations[0].r_info = ELF64_R_INFO(std::uint64_t{1}, R_X86_64_64);
    for (const ModuleFile& one : odd) {
      const std::vector<std::byte> before = one.file();
      std::vector<std::byte> file = before;
      CHECK(remove_trace_calls(file) == 0);
      CHECK(file == before);
    }
  }

  TEST_CASE("module: a list, but no calls → nothing is changed") {
    const std::vector<std::byte> before = ModuleFile({{16, 2}}).file();
    std::vector<std::byte> file = before;
    CHECK(remove_trace_calls(file) == 0);
    CHECK(file == before);
  }

  TEST_CASE("module: tables for unwinding → neither memory nor a name, and nothing else is changed") {
    const std::vector<std::byte> before = ModuleFile({{0, 1}}).file();
    std::vector<std::byte> file = before;
    CHECK(remove_unwind_tables(file));
    for (const std::size_t table : {kUnwindAddresses, kUnwindEntries}) {
      CHECK_FALSE(takes_memory(file, table));
      CHECK(section_of(file, table).sh_name == 0);
      set_section(file, table, section_of(before, table));
    }
    CHECK(file == before);
  }

  TEST_CASE("module: one of the two tables, or two of a name, or no empty name → nothing is changed") {
    for (const std::size_t table : {kUnwindAddresses, kUnwindEntries}) {
      for (const std::size_t other : {std::size_t{0}, kUnwindRelocations, kUnwindAddresses + kUnwindEntries - table}) {
        std::vector<std::byte> before = ModuleFile({{0, 1}}).file();
        Elf64_Shdr section = section_of(before, table);
        section.sh_name = section_of(before, other).sh_name;
        set_section(before, table, section);
        std::vector<std::byte> file = before;
        CHECK_FALSE(remove_unwind_tables(file));
        CHECK(file == before);
      }
    }
    std::vector<std::byte> before = ModuleFile({{0, 1}}).file();
    before[section_of(before, kNames).sh_offset] = std::byte{'x'};
    std::vector<std::byte> file = before;
    CHECK_FALSE(remove_unwind_tables(file));
    CHECK(file == before);
  }

  TEST_CASE("module: cut off anywhere, or any byte of it changed → nothing beyond it is touched") {
    const std::vector<std::byte> good = ModuleFile({{0, 1}, {16, 2}, {59, 1}}).file();
    for (std::size_t size = 0; size < good.size(); ++size) {
      // On the heap, so that a sanitizer sees its end.
      std::vector<std::byte> file(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
      file.shrink_to_fit();
      CHECK(remove_trace_calls(file) == 0);
      CHECK_FALSE(remove_unwind_tables(file));
    }
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (const unsigned value : {0x00U, 0x01U, 0x7fU, 0xffU}) {
        std::vector<std::byte> file = good;
        file[at] = static_cast<std::byte>(value);
        CHECK(remove_trace_calls(file) <= 3);
        const std::vector<std::byte> between = file;
        const bool removed = remove_unwind_tables(file);
        CHECK(removed == (file != between));
      }
    }
  }
}

}  // namespace pyro::guest
