#include "machine/qemu/registers.hpp"

#include <charconv>
#include <cstdint>

namespace pyro::machine {

bool all_halted_without_interrupts(std::string_view registers) {
  // RFLAGS.IF: Intel SDM volume 1, 3.4.3.
  constexpr std::uint64_t kInterruptFlag = 1 << 9;
  bool any = false;
  // One line per vCPU: "RIP=... RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1"; EFL in 32-bit mode.
  for (std::size_t at = registers.find("FL="); at != std::string_view::npos; at = registers.find("FL=", at + 1)) {
    const std::string_view line = registers.substr(at, registers.find('\n', at) - at);
    const auto halt = line.find("HLT=");
    if (halt == std::string_view::npos) {
      continue;
    }
    std::uint64_t flags = 0;
    const auto* const first = line.data() + 3;
    if (std::from_chars(first, line.data() + line.size(), flags, 16).ec != std::errc{}) {
      return false;
    }
    any = true;
    if ((flags & kInterruptFlag) != 0 || line.substr(halt + 4, 1) != "1") {
      return false;
    }
  }
  return any;
}

}  // namespace pyro::machine
