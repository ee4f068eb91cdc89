// The initramfs that carries a guest's kernel modules: /modules/<file> and /modules/modules.dep, as an uncompressed
// newc cpio archive (Documentation/driver-api/early-userspace/buffer-format.rst). The supervisor puts the agent behind
// it. Pure and deterministic.
//
// A line of modules.dep: "<name>=<file>: <name> <name>", the names being what is to be loaded before. A name that has
// no line is built into the kernel.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/elf.hpp"

#include <map>
#include <span>
#include <string>
#include <string_view>

namespace pyro::image {

/// Grows with every change of what the initramfs of one kernel holds, so that cached ones are made again.
inline constexpr int kInitramfsVersion = 1;

struct Module {
  /// Name in the archive, such as "virtio_blk.ko" or "virtio_blk.ko.xz".
  std::string file;
  base::Bytes content;
  ModuleInfo info;
};

/// A kernel package's modules by name.
using ModuleSet = std::map<std::string, Module>;

/// The modules that guests may need.
std::span<const std::string_view> wanted_modules();

/// `wanted` and what they need, by name; those that are in `available` only: others are built in.
ModuleSet select_modules(const ModuleSet& available, std::span<const std::string_view> wanted);

base::Bytes build_initramfs(const ModuleSet& modules);

}  // namespace pyro::image
