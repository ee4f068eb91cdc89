#include "image/initramfs.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace pyro::image {

namespace {

// virtio over MMIO with the devices of the one device set, the root image and its overlay; pmem and DAX for the kvm
// engine; what EROFS checks its checksums with.
constexpr std::array<std::string_view, 18> kWanted = {
    "virtio",     "virtio_ring",    "virtio_mmio", "virtio_blk", "virtio_console", "virtio_net",
    "virtio_rng", "virtio_balloon", "virtio_pmem", "nd_pmem",    "libnvdimm",      "nd_virtio",
    "nd_btt",     "erofs",          "overlay",     "libcrc32c",  "crc32c_intel",   "crc32c_generic",
};

constexpr std::uint32_t kDirectoryMode = 040755;
constexpr std::uint32_t kFileMode = 0100644;

class CpioWriter {
 public:
  void add(std::string_view name, std::uint32_t mode, base::ByteView content) {
    // Inode numbers need only differ; times and owners are zero.
    header(++inode_, mode, content.size(), name.size() + 1);
    out_.raw(base::as_bytes(name));
    out_.u8(0);
    align();
    out_.raw(content);
    align();
  }
  base::Bytes finish() && {
    inode_ = static_cast<std::uint32_t>(-1);
    add("TRAILER!!!", 0, {});
    return std::move(out_).take();
  }

 private:
  void header(std::uint32_t inode, std::uint32_t mode, std::size_t size, std::size_t name_size) {
    constexpr std::string_view magic = "070701";
    const std::uint32_t links = (mode & 0170000) == 040000 ? 2 : 1;
    const std::array<std::size_t, 13> fields = {inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0};
    out_.raw(base::as_bytes(magic));
    for (const std::size_t field : fields) {
      out_.raw(base::as_bytes(fmt::format("{:08x}", field)));
    }
  }
  void align() {
    while (out_.view().size() % 4 != 0) {
      out_.u8(0);
    }
  }
  base::ByteWriter out_;
  std::uint32_t inode_ = 0;
};

/// A module for particular CPUs, which others refuse to load: never a condition for anything else.
bool is_cpu_specific(const ModuleInfo& info) {
  return std::any_of(info.aliases.begin(), info.aliases.end(),
                     [](const std::string& alias) { return alias.starts_with("cpu:"); });
}

/// What must be loaded before a module, as names in `modules`. A soft dependency names a module or an alias of some.
std::vector<std::string> needs_of(const ModuleInfo& info, const ModuleSet& modules) {
  std::set<std::string> needs;
  for (const std::string& name : info.depends) {
    if (modules.contains(name)) {
      needs.insert(name);
    }
  }
  for (const std::string& soft : info.soft_depends) {
    for (const auto& [name, module] : modules) {
      const auto& aliases = module.info.aliases;
      const bool meant = name == soft || std::find(aliases.begin(), aliases.end(), soft) != aliases.end();
      if (meant && name != info.name && !is_cpu_specific(module.info)) {
        needs.insert(name);
      }
    }
  }
  return {needs.begin(), needs.end()};
}

}  // namespace

std::span<const std::string_view> wanted_modules() {
  return kWanted;
}

ModuleSet select_modules(const ModuleSet& available, std::span<const std::string_view> wanted) {
  ModuleSet selected;
  std::vector<std::string> open(wanted.begin(), wanted.end());
  while (!open.empty()) {
    const std::string name = std::move(open.back());
    open.pop_back();
    const auto found = available.find(name);
    if (found == available.end() || !selected.emplace(name, found->second).second) {
      continue;
    }
    const auto& depends = found->second.info.depends;
    open.insert(open.end(), depends.begin(), depends.end());
  }
  return selected;
}

base::Bytes build_initramfs(const ModuleSet& modules) {
  std::string index;
  for (const auto& [name, module] : modules) {
    index += fmt::format("{}={}:", name, module.file);
    for (const std::string& need : needs_of(module.info, modules)) {
      index += " " + need;
    }
    index += "\n";
  }
  CpioWriter cpio;
  cpio.add("modules", kDirectoryMode, {});
  cpio.add("modules/modules.dep", kFileMode, base::as_bytes(index));
  for (const auto& [name, module] : modules) {
    cpio.add("modules/" + module.file, kFileMode, module.content);
  }
  return std::move(cpio).finish();
}

}  // namespace pyro::image
