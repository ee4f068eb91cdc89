#include "image/elf.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <sstream>

#include <elf.h>

namespace pyro::image {

namespace {

/// Xen's note that holds the 32-bit physical entry point (xen/include/public/elfnote.h).
constexpr std::uint32_t XEN_ELFNOTE_PHYS32_ENTRY = 18;

template <typename T>
std::optional<T> read_at(base::ByteView file, std::uint64_t offset) noexcept {
  if (offset > file.size() || file.size() - offset < sizeof(T)) {
    return std::nullopt;
  }
  T value;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return value;
}

base::ByteView slice(base::ByteView file, std::uint64_t offset, std::uint64_t size) noexcept {
  if (offset > file.size() || size > file.size() - offset) {
    return {};
  }
  return file.subspan(offset, size);
}

bool has_xen_entry_note(base::ByteView notes) noexcept {
  const auto aligned = [](std::uint64_t size) { return (size + 3) & ~std::uint64_t{3}; };
  std::uint64_t offset = 0;
  while (const auto note = read_at<Elf64_Nhdr>(notes, offset)) {
    const std::string_view name = base::as_text(slice(notes, offset + sizeof(Elf64_Nhdr), note->n_namesz));
    if (note->n_type == XEN_ELFNOTE_PHYS32_ENTRY && name == std::string_view("Xen\0", 4)) {
      return true;
    }
    offset += sizeof(Elf64_Nhdr) + aligned(note->n_namesz) + aligned(note->n_descsz);
  }
  return false;
}

base::ByteView find_section(base::ByteView file, std::string_view wanted) noexcept {
  const auto header = read_at<Elf64_Ehdr>(file, 0);
  if (!header || header->e_shentsize != sizeof(Elf64_Shdr)) {
    return {};
  }
  const auto section = [&](std::uint64_t index) {
    return read_at<Elf64_Shdr>(file, header->e_shoff + index * sizeof(Elf64_Shdr));
  };
  const auto names_header = section(header->e_shstrndx);
  if (!names_header) {
    return {};
  }
  const std::string_view names = base::as_text(slice(file, names_header->sh_offset, names_header->sh_size));
  for (std::uint64_t i = 0; i < header->e_shnum; ++i) {
    const auto candidate = section(i);
    if (!candidate || candidate->sh_name >= names.size()) {
      continue;
    }
    const std::string_view name = names.substr(candidate->sh_name);
    if (name.substr(0, name.find('\0')) == wanted) {
      return slice(file, candidate->sh_offset, candidate->sh_size);
    }
  }
  return {};
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> words;
  std::istringstream in{std::string(text)};
  for (std::string word; std::getline(in, word, separator);) {
    if (!word.empty()) {
      words.push_back(module_name(word));
    }
  }
  return words;
}

}  // namespace

bool is_elf(base::ByteView file) noexcept {
  const auto header = read_at<Elf64_Ehdr>(file, 0);
  return header && std::memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == ELFCLASS64 &&
         header->e_ident[EI_DATA] == ELFDATA2LSB;
}

bool has_pvh_entry(base::ByteView file) noexcept {
  const auto header = read_at<Elf64_Ehdr>(file, 0);
  if (!is_elf(file) || !header || header->e_phentsize != sizeof(Elf64_Phdr)) {
    return false;
  }
  for (std::uint64_t i = 0; i < header->e_phnum; ++i) {
    const auto segment = read_at<Elf64_Phdr>(file, header->e_phoff + i * sizeof(Elf64_Phdr));
    if (segment && segment->p_type == PT_NOTE &&
        has_xen_entry_note(slice(file, segment->p_offset, segment->p_filesz))) {
      return true;
    }
  }
  return false;
}

std::string module_name(std::string_view file_name) {
  std::string name(file_name);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

base::Result<ModuleInfo> read_module_info(base::ByteView file, const std::string& what) {
  const std::string_view section = is_elf(file) ? base::as_text(find_section(file, ".modinfo")) : std::string_view();
  if (section.empty()) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "{} is not a kernel module: it has no .modinfo", what);
  }
  ModuleInfo info;
  for (std::size_t start = 0; start < section.size();) {
    const std::size_t end = std::min(section.find('\0', start), section.size());
    const std::string_view line = section.substr(start, end - start);
    const auto equals = line.find('=');
    if (equals != std::string_view::npos) {
      const std::string_view key = line.substr(0, equals);
      const std::string_view value = line.substr(equals + 1);
      constexpr std::string_view before = "pre:";
      if (key == "name") {
        info.name = value;
      } else if (key == "depends") {
        info.depends = split(value, ',');
      } else if (key == "softdep" && value.starts_with(before)) {
        const auto more = split(value.substr(before.size()), ' ');
        info.soft_depends.insert(info.soft_depends.end(), more.begin(), more.end());
      } else if (key == "alias") {
        info.aliases.push_back(module_name(value));
      }
    }
    start = end + 1;
  }
  if (info.name.empty()) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "{} is not a kernel module: it has no name", what);
  }
  return info;
}

}  // namespace pyro::image
