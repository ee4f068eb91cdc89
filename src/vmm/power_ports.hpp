// The three I/O ports by which a guest ends itself: ACPI sleep control, sleep status and reset (layout.hpp).
// Thread rule: any vCPU's thread.
#pragma once

#include "devices/bus.hpp"
#include "vmm/run_end.hpp"

namespace pyro::vmm {

class PowerPorts final : public devices::MmioDevice {
 public:
  explicit PowerPorts(RunEndReport& report) noexcept : report_(report) {}

  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void write(std::uint64_t offset, base::ByteView data) noexcept override;

 private:
  RunEndReport& report_;
};

}  // namespace pyro::vmm
