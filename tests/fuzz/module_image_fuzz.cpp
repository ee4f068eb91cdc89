// A kernel module's file before the kernel gets it. Invariants: nothing beyond it is touched, and one that is not as it should
// be stays as it is; what was taken out is not found again.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

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
  if (pyro::guest::remove_trace_calls(module) == 0) {
    // But for the list of none.
    const auto differs = std::mismatch(module.begin(), module.end(), before.begin()).first != module.end();
    require(!differs || pyro::guest::remove_trace_calls(module) == 0);
  }
  return 0;
}
