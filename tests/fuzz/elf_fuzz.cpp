// Kernels and modules out of packages, and pyro-image's own records of them.
// Invariants: a kernel is only ever replaced by one that can be started; a record survives being written and read again.
#include <cstdint>
#include <cstdlib>

#include "image/elf.hpp"
#include "image/kernel.hpp"

namespace {

using namespace pyro::image;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const pyro::base::ByteView file(reinterpret_cast<const std::byte*>(data), size);
  require(is_elf(file) || !has_pvh_entry(file));
  if (const auto info = read_module_info(file, "it"); info.ok()) {
    require(is_elf(file) && !info->name.empty());
  }
  const pyro::base::Bytes image(file.begin(), file.end());
  const pyro::base::Bytes unpacked = unpack_kernel(image);
  require(unpacked == image || has_pvh_entry(unpacked));
  if (const auto kernel = Kernel::decode(pyro::base::as_text(file)); kernel.ok()) {
    const auto again = Kernel::decode(kernel->encode());
    require(again.ok() && again->encode() == kernel->encode());
  }
  return 0;
}
