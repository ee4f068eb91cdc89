#include "guest/module_image.hpp"

#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include <elf.h>

namespace pyro::guest {

namespace {

// Intel SDM volume 2: CALL rel32, and the recommended NOP of the same five bytes.
constexpr std::byte kCall{0xe8};
constexpr std::array<std::uint8_t, 5> kNop{0x0f, 0x1f, 0x44, 0x00, 0x00};
constexpr std::string_view kTraceFunction = "__fentry__";
// Where each call is (Linux, include/asm-generic/vmlinux.lds.h).
constexpr std::string_view kTraceList = "__mcount_loc";
// Where the kernel looks for a module's unwind table, by name (Linux, arch/x86/kernel/module.c): addresses, and how to unwind
// at each.
constexpr std::array<std::string_view, 2> kUnwindTables{".orc_unwind_ip", ".orc_unwind"};

// Sections and what is in them, of a file that may be anything: one may lie upon another, or upon their table, so that
// what is read after a write may be something else.
class Object {
 public:
  /// Its header is read once.
  explicit Object(std::span<std::byte> file) : file_(file), header_(read<Elf64_Ehdr>(0).value_or(Elf64_Ehdr{})) {}

  [[nodiscard]] bool is_module() const noexcept {
    return std::memcmp(header_.e_ident, ELFMAG, SELFMAG) == 0 && header_.e_ident[EI_CLASS] == ELFCLASS64 &&
           header_.e_ident[EI_DATA] == ELFDATA2LSB && header_.e_type == ET_REL && header_.e_machine == EM_X86_64 &&
           header_.e_shentsize == sizeof(Elf64_Shdr);
  }
  [[nodiscard]] std::size_t section_count() const noexcept { return header_.e_shnum; }
  [[nodiscard]] std::uint64_t section_offset(std::size_t index) const noexcept {
    return header_.e_shoff + index * sizeof(Elf64_Shdr);
  }
  [[nodiscard]] std::optional<Elf64_Shdr> section(std::size_t index) const noexcept {
    return read<Elf64_Shdr>(section_offset(index));
  }
  /// Empty if it is not in the file.
  [[nodiscard]] std::span<std::byte> content(const Elf64_Shdr& section) const noexcept {
    if (section.sh_type == SHT_NOBITS || section.sh_offset > file_.size() ||
        section.sh_size > file_.size() - section.sh_offset) {
      return {};
    }
    return file_.subspan(section.sh_offset, section.sh_size);
  }
  /// The only section of that name.
  [[nodiscard]] std::optional<std::size_t> find_section(std::string_view name) const noexcept {
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < section_count(); ++i) {
      if (const auto candidate = section(i); candidate && has_name(candidate->sh_name, name)) {
        if (found) {
          return std::nullopt;
        }
        found = i;
      }
    }
    return found;
  }
  /// To the kernel, a section that takes no memory is none, and neither are its relocations.
  void drop_section(std::size_t index, Elf64_Shdr header) const noexcept {
    header.sh_flags &= ~static_cast<Elf64_Xword>(SHF_ALLOC);
    write(section_offset(index), header);
  }
  /// Whether the name at `offset` of the sections' names is `name`.
  [[nodiscard]] bool has_name(std::size_t offset, std::string_view name) const noexcept {
    const auto names = section(header_.e_shstrndx);
    return names && is_text(*names, offset, name);
  }
  /// The number of a symbol in the symbol table at `table`.
  [[nodiscard]] std::optional<std::size_t> find_symbol(std::size_t table, std::string_view name) const noexcept {
    const auto symbols = section(table);
    const auto names = symbols && symbols->sh_type == SHT_SYMTAB ? section(symbols->sh_link) : std::nullopt;
    const std::size_t count = names ? content(*symbols).size() / sizeof(Elf64_Sym) : 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto symbol = read<Elf64_Sym>(symbols->sh_offset + i * sizeof(Elf64_Sym));
      if (symbol && is_text(*names, symbol->st_name, name)) {
        return i;
      }
    }
    return std::nullopt;
  }
  template <typename T>
  [[nodiscard]] std::optional<T> read(std::uint64_t offset) const noexcept {
    if (offset > file_.size() || file_.size() - offset < sizeof(T)) {
      return std::nullopt;
    }
    T value;
    std::memcpy(&value, file_.data() + offset, sizeof(T));
    return value;
  }
  /// At an offset that was read.
  template <typename T>
  void write(std::uint64_t offset, const T& value) const noexcept {
    std::memcpy(file_.data() + offset, &value, sizeof(T));
  }

 private:
  // With the NUL that ends it.
  [[nodiscard]] bool is_text(const Elf64_Shdr& names, std::size_t offset, std::string_view text) const noexcept {
    const std::string_view all = base::as_text(content(names));
    return offset < all.size() && text.size() < all.size() - offset && all.compare(offset, text.size(), text) == 0 &&
           all[offset + text.size()] == '\0';
  }
  std::span<std::byte> file_;
  Elf64_Ehdr header_;
};

// For each call of __fentry__: where it is relocated, and the five bytes of the instruction. False, and no more of them, if
// one is no such call.
template <typename OnCall>
bool for_each_call(const Object& object, const OnCall& on_call) {
  std::optional<std::size_t> table;
  std::optional<std::size_t> symbol;
  for (std::size_t i = 0; i < object.section_count(); ++i) {
    const auto relocations = object.section(i);
    const auto target =
        relocations && relocations->sh_type == SHT_RELA ? object.section(relocations->sh_info) : std::nullopt;
    if (!target || (target->sh_flags & SHF_EXECINSTR) == 0) {
      continue;
    }
    if (table != relocations->sh_link) {
      table = relocations->sh_link;
      symbol = object.find_symbol(*table, kTraceFunction);
    }
    const std::span<std::byte> code = object.content(*target);
    const std::size_t count = symbol ? object.content(*relocations).size() / sizeof(Elf64_Rela) : 0;
    for (std::size_t k = 0; k < count; ++k) {
      const std::uint64_t offset = relocations->sh_offset + k * sizeof(Elf64_Rela);
      const auto relocation = object.read<Elf64_Rela>(offset);
      if (!relocation || ELF64_R_SYM(relocation->r_info) != *symbol) {
        continue;
      }
      const std::uint64_t at = relocation->r_offset;
      const auto type = ELF64_R_TYPE(relocation->r_info);
      if ((type != R_X86_64_PLT32 && type != R_X86_64_PC32) || at < 1 || at > code.size() || code.size() - at < 4 ||
          code[at - 1] != kCall) {
        return false;
      }
      on_call(offset, code.subspan(at - 1, kNop.size()));
    }
  }
  return true;
}

}  // namespace

std::size_t remove_trace_calls(std::span<std::byte> module) noexcept {
  const Object object(module);
  const auto list = object.is_module() ? object.find_section(kTraceList) : std::nullopt;
  const auto list_header = list ? object.section(*list) : std::nullopt;
  std::size_t calls = 0;
  if (!list_header || !for_each_call(object, [&calls](std::uint64_t, std::span<std::byte>) { ++calls; }) ||
      calls == 0) {
    return 0;
  }
  for_each_call(object, [&object](std::uint64_t relocation_offset, std::span<std::byte> instruction) {
    std::memcpy(instruction.data(), kNop.data(), kNop.size());
    Elf64_Rela relocation = *object.read<Elf64_Rela>(relocation_offset);
    relocation.r_info = ELF64_R_INFO(0, R_X86_64_NONE);
    object.write(relocation_offset, relocation);
  });
  object.drop_section(*list, *list_header);
  return calls;
}

bool remove_unwind_tables(std::span<std::byte> module) noexcept {
  const Object object(module);
  std::array<std::size_t, kUnwindTables.size()> tables{};
  std::array<Elf64_Shdr, kUnwindTables.size()> headers{};
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const auto found = object.is_module() ? object.find_section(kUnwindTables[i]) : std::nullopt;
    const auto header = found ? object.section(*found) : std::nullopt;
    if (!header || (header->sh_flags & SHF_ALLOC) == 0) {
      return false;
    }
    tables[i] = *found;
    headers[i] = *header;
  }
  // Found by name even if it takes no memory; the first of the names is empty.
  if (!object.has_name(0, "")) {
    return false;
  }
  for (std::size_t i = 0; i < tables.size(); ++i) {
    headers[i].sh_name = 0;
    object.drop_section(tables[i], headers[i]);
  }
  return true;
}

}  // namespace pyro::guest
