#include "image/kernel.hpp"

#include "image/elf.hpp"

#include <cstring>

#include <doctest/doctest.h>
#include <elf.h>

namespace pyro::image {

namespace {

template <typename T>
void append(base::Bytes& out, const T& value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof(T));
}

Elf64_Ehdr elf_header() {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  return header;
}

/// A kernel with one note segment: type `type` of "Xen".
base::Bytes kernel_with_note(std::uint32_t type) {
  Elf64_Ehdr header = elf_header();
  header.e_phoff = sizeof(Elf64_Ehdr);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  Elf64_Phdr segment{};
  segment.p_type = PT_NOTE;
  segment.p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
  segment.p_filesz = sizeof(Elf64_Nhdr) + 4 + 8;
  base::Bytes out;
  append(out, header);
  append(out, segment);
  append(out, Elf64_Nhdr{4, 8, type});
  append(out, std::array<char, 4>{'X', 'e', 'n', '\0'});
  append(out, std::uint64_t{0x1000000});
  return out;
}

/// LZ4 in the frame of old (magic, then blocks with their sizes), as kernels use it; literals only.
base::Bytes lz4_legacy(base::ByteView plain) {
  base::ByteWriter block;
  REQUIRE(plain.size() >= 15);
  block.u8(0xf0);
  std::size_t rest = plain.size() - 15;
  for (; rest >= 255; rest -= 255) {
    block.u8(255);
  }
  block.u8(static_cast<std::uint8_t>(rest));
  block.raw(plain);
  base::ByteWriter out;
  out.u32(0x184c2102);
  out.u32(static_cast<std::uint32_t>(block.view().size()));
  out.raw(block.view());
  return std::move(out).take();
}

base::Bytes bz_image(base::ByteView payload) {
  base::Bytes image(512 * 2, std::byte{0});
  const auto put32 = [&](std::size_t at, std::size_t value) {
    const auto little = static_cast<std::uint32_t>(value);
    std::memcpy(image.data() + at, &little, sizeof(little));
  };
  image[0x1f1] = std::byte{1};
  std::memcpy(image.data() + 0x202, "HdrS", 4);
  image[0x206] = std::byte{0x0f};
  image[0x207] = std::byte{0x02};
  put32(0x248, 0);
  put32(0x24c, payload.size() + 4);
  image.insert(image.end(), payload.begin(), payload.end());
  image.insert(image.end(), 4, std::byte{0x7f});
  return image;
}

/// A module whose .modinfo is `text`.
base::Bytes module_with(const std::string& text) {
  const std::string names = std::string("\0.modinfo\0", 10);
  Elf64_Ehdr header = elf_header();
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 2;
  header.e_shstrndx = 0;
  header.e_shoff = sizeof(Elf64_Ehdr) + names.size() + text.size();
  Elf64_Shdr names_section{};
  names_section.sh_offset = sizeof(Elf64_Ehdr);
  names_section.sh_size = names.size();
  Elf64_Shdr info_section{};
  info_section.sh_name = 1;
  info_section.sh_offset = sizeof(Elf64_Ehdr) + names.size();
  info_section.sh_size = text.size();
  base::Bytes out;
  append(out, header);
  for (const std::string& part : {names, text}) {
    const auto bytes = base::as_bytes(part);
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  append(out, names_section);
  append(out, info_section);
  return out;
}

}  // namespace

TEST_CASE("kernel: a bzImage with a compressed PVH kernel is unpacked") {
  const base::Bytes vmlinux = kernel_with_note(18);
  CHECK(has_pvh_entry(vmlinux));
  CHECK(unpack_kernel(bz_image(lz4_legacy(vmlinux))) == vmlinux);
}

TEST_CASE("kernel: without a PVH entry, with an unknown compression or a broken header it stays as it is") {
  CHECK_FALSE(has_pvh_entry(kernel_with_note(17)));
  const base::Bytes no_pvh = bz_image(lz4_legacy(kernel_with_note(17)));
  CHECK(unpack_kernel(no_pvh) == no_pvh);
  const base::Bytes unknown = bz_image(base::Bytes(100, std::byte{0x42}));
  CHECK(unpack_kernel(unknown) == unknown);
  base::Bytes overlong = bz_image(lz4_legacy(kernel_with_note(18)));
  overlong[0x24f] = std::byte{0x7f};
  CHECK(unpack_kernel(overlong) == overlong);
  CHECK(unpack_kernel({}).empty());
}

TEST_CASE("elf: offsets beyond the file are not followed") {
  base::Bytes kernel = kernel_with_note(18);
  for (std::size_t size = 0; size < kernel.size(); ++size) {
    has_pvh_entry(base::ByteView(kernel).first(size));
  }
  for (std::size_t i = 16; i < sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + sizeof(Elf64_Nhdr); ++i) {
    base::Bytes broken = kernel;
    broken[i] = std::byte{0xff};
    has_pvh_entry(broken);
    (void)read_module_info(broken, "m").ok();
  }
}

TEST_CASE("modules: .modinfo tells name, needs and aliases in the kernel's spelling") {
  using namespace std::string_literals;
  const std::string text =
      "license=GPL\0name=virtio_blk\0depends=virtio-ring,virtio\0softdep=pre: crc32c\0softdep=post: other\0"
      "alias=virtio:d00000002v*\0"s;
  const auto info = read_module_info(module_with(text), "m");
  REQUIRE(info.ok());
  CHECK(info->name == "virtio_blk");
  CHECK(info->depends == std::vector<std::string>{"virtio_ring", "virtio"});
  CHECK(info->soft_depends == std::vector<std::string>{"crc32c"});
  CHECK(info->aliases.size() == 1);
}

TEST_CASE("modules: what is none is refused") {
  CHECK(read_module_info({}, "m").error().code == PYRO_ERROR_ENVIRONMENT);
  CHECK_FALSE(read_module_info(module_with(std::string("license=GPL\0", 12)), "m").ok());
  CHECK_FALSE(read_module_info(kernel_with_note(18), "m").ok());
}

TEST_CASE("kernel record: encoded and decoded → the same") {
  Kernel kernel;
  kernel.package = {"linux-image-6.1.0-1-cloud-amd64", "6.1.2-1", std::string(64, '1')};
  kernel.version = "6.1.0-1-cloud-amd64";
  kernel.image = {state::Digest::from_hex(std::string(64, 'a')).value(), 5};
  kernel.initramfs = {state::Digest::from_hex(std::string(64, 'b')).value(), 6};
  const auto decoded = Kernel::decode(kernel.encode());
  REQUIRE(decoded.ok());
  CHECK(decoded->package == kernel.package);
  CHECK(decoded->image == kernel.image);
  CHECK(decoded->initramfs == kernel.initramfs);
  CHECK_FALSE(Kernel::decode("{}").ok());
}

}  // namespace pyro::image
