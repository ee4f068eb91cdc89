#include "image/initramfs.hpp"

#include <string>

#include <doctest/doctest.h>

namespace pyro::image {

namespace {

Module module(const std::string& name, std::vector<std::string> depends, std::vector<std::string> soft = {},
              std::vector<std::string> aliases = {}) {
  Module out;
  out.file = name + ".ko";
  out.content = base::Bytes(5, std::byte{'x'});
  out.info = {name, std::move(depends), std::move(soft), std::move(aliases)};
  return out;
}

ModuleSet set_of(std::vector<Module> modules) {
  ModuleSet set;
  for (Module& one : modules) {
    const std::string name = one.info.name;
    set.emplace(name, std::move(one));
  }
  return set;
}

/// The files of a newc archive, as "name=content" in order; every offset is checked.
std::vector<std::pair<std::string, std::string>> read_cpio(base::ByteView bytes) {
  std::vector<std::pair<std::string, std::string>> files;
  const std::string_view text = base::as_text(bytes);
  std::size_t at = 0;
  while (true) {
    REQUIRE(at % 4 == 0);
    REQUIRE(text.substr(at, 6) == "070701");
    const auto field = [&](std::size_t index) {
      return std::stoul(std::string(text.substr(at + 6 + index * 8, 8)), nullptr, 16);
    };
    const std::size_t size = field(6);
    const std::size_t name_size = field(11);
    const std::string name(text.substr(at + 110, name_size - 1));
    const std::size_t content = (at + 110 + name_size + 3) / 4 * 4;
    REQUIRE(content + size <= text.size());
    if (name == "TRAILER!!!") {
      CHECK((content + size + 3) / 4 * 4 == text.size());
      return files;
    }
    files.emplace_back(name, text.substr(content, size));
    at = (content + size + 3) / 4 * 4;
  }
}

}  // namespace

TEST_CASE("initramfs: what modules need comes with them, what is built in is left out") {
  const ModuleSet available =
      set_of({module("a", {"b", "built_in"}), module("b", {"c"}), module("c", {"a"}), module("unrelated", {})});
  const std::string_view wanted[] = {"a", "missing"};
  const ModuleSet selected = select_modules(available, wanted);
  CHECK(selected.size() == 3);
  CHECK(selected.contains("c"));
  CHECK_FALSE(selected.contains("unrelated"));
}

TEST_CASE("initramfs: modules.dep names file and needs, soft ones by alias but none that only some CPUs load") {
  const ModuleSet modules = set_of({module("libcrc32c", {}, {"crc32c"}), module("crc32c_generic", {}, {}, {"crc32c"}),
                                    module("crc32c_intel", {}, {}, {"crc32c", "cpu:type:x86,*"}),
                                    module("erofs", {"libcrc32c", "built_in"})});
  const auto files = read_cpio(build_initramfs(modules));
  REQUIRE(files.size() == 6);
  CHECK(files[0].first == "modules");
  CHECK(files[1].first == "modules/modules.dep");
  CHECK(files[1].second ==
        "crc32c_generic=crc32c_generic.ko:\ncrc32c_intel=crc32c_intel.ko:\nerofs=erofs.ko: libcrc32c\n"
        "libcrc32c=libcrc32c.ko: crc32c_generic\n");
  CHECK(files[2].first == "modules/crc32c_generic.ko");
  CHECK(files[2].second == "xxxxx");
}

TEST_CASE("initramfs: the same modules give the same bytes") {
  const auto build = [] { return build_initramfs(set_of({module("a", {"b"}), module("b", {})})); };
  CHECK(build() == build());
}

}  // namespace pyro::image
