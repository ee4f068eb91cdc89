#include "vmm/boot.hpp"

#include "vmm/layout.hpp"
#include "vmm/long_mode.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <asm/bootparam.h>

namespace pyro::vmm {

namespace {

// e820 types (boot_e820_entry::type).
constexpr std::uint32_t kE820Ram = 1;
constexpr std::uint32_t kE820Reserved = 2;

// boot_params for a kernel that brought no setup header of its own (ELF).
constexpr std::uint16_t kBootFlag = 0xaa55;
constexpr std::uint32_t kHeaderMagic = 0x53726448;  // "HdrS"
constexpr std::uint16_t kProtocol = 0x020f;
constexpr std::uint8_t kUndefinedLoader = 0xff;
constexpr std::uint32_t kKernelAlignment = 16 * layout::kMib;

// Model-specific registers (Intel SDM volume 4).
constexpr std::uint32_t kMsrMiscEnable = 0x1a0;
constexpr std::uint64_t kMiscEnableFastStrings = 1;
constexpr std::uint32_t kMsrMtrrDefaultType = 0x2ff;
constexpr std::uint64_t kMtrrEnabledWriteBack = (1U << 11) | 6;

// Local vector table of a local APIC (Intel SDM volume 3, 11.5): LINT0 takes external interrupts, LINT1 NMIs.
constexpr std::size_t kLapicLint0 = 0x350;
constexpr std::size_t kLapicLint1 = 0x360;
constexpr std::uint32_t kDeliveryExternal = 7U << 8;
constexpr std::uint32_t kDeliveryNmi = 4U << 8;
constexpr std::uint32_t kDeliveryMask = 7U << 8;

void add_e820(boot_params& params, std::uint64_t gpa, std::uint64_t end_gpa, std::uint32_t type) {
  boot_e820_entry& entry = params.e820_table[params.e820_entries];
  entry.addr = gpa;
  entry.size = end_gpa - gpa;
  entry.type = type;
  ++params.e820_entries;
}

boot_params make_zero_page(const memory::GuestMemory& memory, const LoadedKernel& kernel, const LoadedInitrd& initrd,
                           std::size_t command_line_bytes, std::uint64_t rsdp_gpa) {
  boot_params params{};
  if (kernel.setup_header.empty()) {
    params.hdr.boot_flag = kBootFlag;
    params.hdr.header = kHeaderMagic;
    params.hdr.version = kProtocol;
    params.hdr.kernel_alignment = kKernelAlignment;
  } else {
    std::memcpy(&params.hdr, kernel.setup_header.data(), std::min(sizeof(params.hdr), kernel.setup_header.size()));
  }
  params.hdr.type_of_loader = kUndefinedLoader;
  params.hdr.cmd_line_ptr = layout::kCommandLineGpa;
  params.hdr.cmdline_size = static_cast<std::uint32_t>(command_line_bytes);
  params.hdr.ramdisk_image = static_cast<std::uint32_t>(initrd.gpa);
  params.hdr.ramdisk_size = static_cast<std::uint32_t>(initrd.size_bytes);
  params.acpi_rsdp_addr = rsdp_gpa;
  add_e820(params, 0, layout::kConventionalEnd, kE820Ram);
  add_e820(params, layout::kAcpiGpa, layout::kAcpiGpa + layout::kAcpiMaxBytes, kE820Reserved);
  for (const memory::Region& region : memory.regions()) {
    add_e820(params, std::max(region.gpa, layout::kKernelGpa), region.gpa + region.size_bytes, kE820Ram);
  }
  return params;
}

// The first GiB, mapped onto itself by large pages.
bool write_page_tables(const memory::GuestMemory& memory) {
  constexpr std::size_t entries = 512;
  std::array<std::uint64_t, entries> directory{};
  for (std::size_t i = 0; i < entries; ++i) {
    directory[i] = i * 2 * layout::kMib | kPteLargePage | kPtePresentWritable;
  }
  return memory.write(layout::kPageDirectoryGpa, std::as_bytes(std::span(directory))) &&
         memory.store(layout::kPml4Gpa, layout::kPdptGpa | kPtePresentWritable) &&
         memory.store(layout::kPdptGpa, layout::kPageDirectoryGpa | kPtePresentWritable);
}

base::Status set_interrupt_inputs(Vcpu& vcpu) {
  PYRO_TRY_ASSIGN(kvm_lapic_state lapic, vcpu.lapic());
  const auto deliver = [&lapic](std::size_t offset, std::uint32_t mode) {
    std::uint32_t value = 0;
    std::memcpy(&value, lapic.regs + offset, sizeof(value));
    value = (value & ~kDeliveryMask) | mode;
    std::memcpy(lapic.regs + offset, &value, sizeof(value));
  };
  deliver(kLapicLint0, kDeliveryExternal);
  deliver(kLapicLint1, kDeliveryNmi);
  return vcpu.set_lapic(lapic);
}

}  // namespace

base::Status write_boot_data(const memory::GuestMemory& memory, const LoadedKernel& kernel, const LoadedInitrd& initrd,
                             const std::string& command_line, std::span<const AcpiTable> acpi_tables) {
  // With its NUL.
  if (command_line.size() >= layout::kCommandLineMaxBytes) {
    return base::make_error(PYRO_ERROR_LIMIT, "a kernel command line of {} bytes", command_line.size());
  }
  bool written = !acpi_tables.empty();
  for (const AcpiTable& table : acpi_tables) {
    written = written && memory.write(table.gpa, base::as_bytes(table.bytes));
  }
  const std::string_view with_nul(command_line.c_str(), command_line.size() + 1);
  written = written && memory.write(layout::kCommandLineGpa, base::as_bytes(with_nul));
  const auto gdt = flat_gdt();
  written = written && memory.write(layout::kGdtGpa, std::as_bytes(std::span(gdt))) && write_page_tables(memory);
  if (!written) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the VM's memory has no room for its boot data");
  }
  const boot_params zero_page = make_zero_page(memory, kernel, initrd, command_line.size(), acpi_tables.front().gpa);
  if (!memory.write(layout::kZeroPageGpa, std::as_bytes(std::span(&zero_page, 1)))) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the VM's memory has no room for its boot data");
  }
  return base::success();
}

base::Status set_boot_registers(Vcpu& vcpu, std::uint32_t id, std::uint64_t entry_gpa) {
  const std::array msrs{kvm_msr_entry{.index = kMsrMiscEnable, .reserved = 0, .data = kMiscEnableFastStrings},
                        kvm_msr_entry{.index = kMsrMtrrDefaultType, .reserved = 0, .data = kMtrrEnabledWriteBack}};
  PYRO_TRY(vcpu.set_msrs(msrs));
  PYRO_TRY(set_interrupt_inputs(vcpu));
  if (id != 0) {
    // The others wait for the first one's start-up message (INIT, SIPI), as KVM makes them.
    return base::success();
  }
  PYRO_TRY_ASSIGN(kvm_sregs sregs, vcpu.sregs());
  enter_long_mode(sregs, layout::kPml4Gpa, layout::kGdtGpa);
  PYRO_TRY(vcpu.set_sregs(sregs));
  kvm_regs regs{};
  regs.rip = entry_gpa;
  regs.rsi = layout::kZeroPageGpa;
  regs.rsp = layout::kStackTopGpa;
  regs.rbp = layout::kStackTopGpa;
  regs.rflags = kRflagsReserved;
  return vcpu.set_regs(regs);
}

}  // namespace pyro::vmm
