// What a kernel finds when its first vCPU enters it, and the registers with which it does: the zero page,
// the memory map, page tables, command line and ACPI tables (Documentation/x86/boot.rst, zero-page.rst).
// Thread rule: before the guest runs.
#pragma once

#include "vmm/acpi.hpp"
#include "vmm/kernel_image.hpp"
#include "vmm/kvm.hpp"

#include <string>

namespace pyro::vmm {

/// Writes all that a kernel is handed into guest memory. Errors: LIMIT if the command line is too long.
base::Status write_boot_data(const memory::GuestMemory& memory, const LoadedKernel& kernel, const LoadedInitrd& initrd,
                             const std::string& command_line, std::span<const AcpiTable> acpi_tables);

/// Sets a vCPU's registers as after a reset, and those of the first one to enter the kernel.
base::Status set_boot_registers(Vcpu& vcpu, std::uint32_t id, std::uint64_t entry_gpa);

}  // namespace pyro::vmm
