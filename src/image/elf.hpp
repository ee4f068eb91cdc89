// The little of ELF (64-bit, little-endian; System V ABI) that kernels and modules need here. Pure; every offset is
// checked against the input.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pyro::image {

/// True if the file begins as an ELF file of this kind does.
bool is_elf(base::ByteView file) noexcept;

/// Whether a kernel has a PVH entry point (a note "Xen" of type XEN_ELFNOTE_PHYS32_ENTRY), by which it can be started
/// uncompressed.
bool has_pvh_entry(base::ByteView file) noexcept;

/// What .modinfo of a kernel module says.
struct ModuleInfo {
  /// With '_', as the kernel calls it.
  std::string name;
  std::vector<std::string> depends;
  std::vector<std::string> soft_depends;
  std::vector<std::string> aliases;
};

/// Errors: ENVIRONMENT.
base::Result<ModuleInfo> read_module_info(base::ByteView file, const std::string& what);

/// A module's name in the kernel's spelling: '-' becomes '_'.
std::string module_name(std::string_view file_name);

}  // namespace pyro::image
