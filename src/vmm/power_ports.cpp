#include "vmm/power_ports.hpp"

#include "vmm/layout.hpp"

#include <algorithm>

namespace pyro::vmm {

namespace {
// ACPI 6.4, 4.8.3.7: SLP_EN is bit 5; the sleep type in bits 2 to 4 can only be the one that the DSDT offers.
constexpr std::byte kSleepEnable{1 << 5};
constexpr std::uint64_t kControlOffset = 0;
constexpr std::uint64_t kResetOffset = layout::kResetPort - layout::kSleepControlPort;
}  // namespace

void PowerPorts::read(std::uint64_t /*offset*/, std::span<std::byte> data) noexcept {
  // The wake status is never set: nothing sleeps.
  std::fill(data.begin(), data.end(), std::byte{0});
}

void PowerPorts::write(std::uint64_t offset, base::ByteView data) noexcept {
  if (data.empty()) {
    return;
  }
  if (offset == kControlOffset && (data.front() & kSleepEnable) != std::byte{0}) {
    report_.report({RunEnd::Kind::powered_off, "the guest powered itself off"});
  } else if (offset == kResetOffset) {
    report_.report({RunEnd::Kind::reset, "the guest rebooted"});
  }
}

}  // namespace pyro::vmm
