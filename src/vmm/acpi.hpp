// The ACPI tables of a guest: what it has for processors, interrupt controllers and devices. There is no
// BIOS, no PCI, no legacy timer, clock chip or keyboard: a hardware-reduced platform (ACPI 6.4, 4.1), so a
// kernel looks for none of them.
// Thread rule: pure.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pyro::vmm {

/// One virtio-mmio device.
struct VirtioSlot {
  std::uint64_t gpa = 0;
  std::uint32_t gsi = 0;
};

/// One table, or the RSDP, at its guest physical address.
struct AcpiTable {
  std::string signature;
  std::uint64_t gpa = 0;
  std::string bytes;
};

/// All tables, laid out upwards from layout::kAcpiGpa; the first is the RSDP. Errors: INTERNAL if they do
/// not fit (they do, for every number of vCPUs and devices that the layout allows).
base::Result<std::vector<AcpiTable>> make_acpi_tables(std::uint32_t vcpu_count, std::span<const VirtioSlot> devices);

}  // namespace pyro::vmm
