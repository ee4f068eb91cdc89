// The initramfs's index of kernel modules, and the signatures of its files.
#include <doctest/doctest.h>

#include "guest/module_index.hpp"

namespace pyro::guest {

namespace {

using Files = std::vector<std::string>;

ModuleIndex must_parse(std::string_view text) {
  auto index = ModuleIndex::parse(text);
  REQUIRE(index.ok());
  return std::move(index).value();
}

std::string signed_module(std::string body, std::size_t signature_bytes) {
  body.append(signature_bytes, 's');
  body.append(8, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    body.push_back(static_cast<char>(signature_bytes >> shift));
  }
  return body + "~Module signature appended~\n";
}

}  // namespace

TEST_SUITE("guest") {
  TEST_CASE("modules: dependencies → first, each once") {
    ModuleIndex index = must_parse(
        "virtio_blk=virtio_blk.ko: virtio virtio_ring\n"
        "virtio=virtio.ko: virtio_ring\n"
        "\n"
        "virtio_ring=virtio_ring.ko: \n"
        "virtio_console=virtio_console.ko.xz: virtio virtio_ring\n");
    CHECK(index.load_order("virtio_blk") == Files{"virtio_ring.ko", "virtio.ko", "virtio_blk.ko"});
    CHECK(index.load_order("virtio_console") == Files{"virtio_console.ko.xz"});
    CHECK(index.load_order("virtio_blk").empty());
  }

  TEST_CASE("modules: not listed → built in, nothing to load") {
    ModuleIndex index = must_parse("a=a.ko: built_in\n");
    CHECK(index.load_order("ext4").empty());
    CHECK(index.load_order("a") == Files{"a.ko"});
  }

  TEST_CASE("modules: a cycle → ends") {
    ModuleIndex index = must_parse("a=a.ko: b\nb=b.ko: a\n");
    CHECK(index.load_order("a") == Files{"b.ko", "a.ko"});
  }

  TEST_CASE("modules: lines of another form → refused") {
    for (const std::string_view text : {"a", "a=a.ko", "a: b", "=a.ko: b", "a=: b", "a:b=c", "a=../a.ko: b"}) {
      CAPTURE(text);
      const auto index = ModuleIndex::parse(text);
      REQUIRE_FALSE(index.ok());
      CHECK(index.error().code == PYRO_ERROR_BOOT);
    }
    CHECK(ModuleIndex::parse("").ok());
  }

  TEST_CASE("signature: appended → not counted") {
    CHECK(size_without_signature(base::as_bytes(signed_module("module", 681))) == 6);
  }

  TEST_CASE("signature: none, or one that cannot be → the whole file") {
    CHECK(size_without_signature(base::as_bytes("module")) == 6);
    CHECK(size_without_signature({}) == 0);
    const std::string only_marker = "~Module signature appended~\n";
    CHECK(size_without_signature(base::as_bytes(only_marker)) == only_marker.size());
    std::string too_long = signed_module("module", 10);
    too_long[too_long.size() - 32] = '\x7f';
    CHECK(size_without_signature(base::as_bytes(too_long)) == too_long.size());
  }
}

}  // namespace pyro::guest
