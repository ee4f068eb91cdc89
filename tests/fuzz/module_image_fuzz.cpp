// A kernel module's file before the kernel gets it. Invariants: nothing beyond it is touched, and one that is not as it should
// be stays as it is.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <elf.h>

#include "guest/module_image.hpp"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> module(size);
  std::transform(data, data + size, module.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
  const std::vector<std::byte> before = module;
  const std::size_t calls = pyro::guest::remove_trace_calls(module);
  require((calls == 0) == (module == before));
  // Each has a relocation of its own.
  require(calls <= size / sizeof(Elf64_Rela));
  const std::vector<std::byte> between = module;
  const bool removed = pyro::guest::remove_unwind_tables(module);
  require(removed == (module != between));
  return 0;
}
