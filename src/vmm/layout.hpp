// Every address and number that a guest of ours finds something at. x86-64, 48-bit physical addresses at
// the least are assumed; memory above 4 GiB continues where the hole ends.
//
//   0x0000_0000  tables and parameters of the boot, command line, ACPI tables, kernel, initrd: RAM
//   0xc000_0000  end of low RAM
//   0xd000_0000  virtio-mmio registers, one page per device
//   0xfec0_0000  IOAPIC, local APIC, pages that Intel hosts keep for themselves
//   0x1_0000_0000  the rest of RAM, then, 1 GiB aligned, the root image (virtio-pmem)
#pragma once

#include <cstddef>
#include <cstdint>

namespace pyro::vmm::layout {

inline constexpr std::uint64_t kKib = 1024;
inline constexpr std::uint64_t kMib = 1024 * kKib;
inline constexpr std::uint64_t kGib = 1024 * kMib;
inline constexpr std::uint64_t kPageBytes = 4 * kKib;

// ---- RAM
inline constexpr std::uint64_t kLowRamEnd = 3 * kGib;
inline constexpr std::uint64_t kHighRamStart = 4 * kGib;

// ---- what the monitor puts into low memory (all below 640 KiB, overwritten by the kernel once it runs)
inline constexpr std::uint64_t kGdtGpa = 0x1000;
inline constexpr std::uint64_t kZeroPageGpa = 0x2000;  // struct boot_params
inline constexpr std::uint64_t kPml4Gpa = 0x3000;
inline constexpr std::uint64_t kPdptGpa = 0x4000;
inline constexpr std::uint64_t kPageDirectoryGpa = 0x5000;  // identity map of the first GiB
inline constexpr std::uint64_t kStackTopGpa = 0x7000;
inline constexpr std::uint64_t kCommandLineGpa = 0x8000;
inline constexpr std::uint64_t kCommandLineMaxBytes = 2048;  // COMMAND_LINE_SIZE of x86
/// Conventional memory ends here: a kernel expects BIOS and video memory between it and 1 MiB.
inline constexpr std::uint64_t kConventionalEnd = 0x9fc00;
/// Where a BIOS would have its own: our ACPI tables.
inline constexpr std::uint64_t kAcpiGpa = 0xe0000;
inline constexpr std::uint64_t kAcpiMaxBytes = 0x10000;
/// Kernels are linked to run from here.
inline constexpr std::uint64_t kKernelGpa = kMib;
/// An initrd ends below this, whatever the kernel (its own limit is 2 GiB or more).
inline constexpr std::uint64_t kInitrdEndMax = 0x7ff00000;

// ---- MMIO
inline constexpr std::uint64_t kVirtioMmioGpa = 0xd0000000;
inline constexpr std::uint64_t kVirtioMmioStride = kPageBytes;
inline constexpr std::uint64_t kIoapicGpa = 0xfec00000;
inline constexpr std::uint64_t kLapicGpa = 0xfee00000;
/// Intel hosts keep one page here and three there (KVM API 4.35, 4.36).
inline constexpr std::uint64_t kIdentityMapGpa = 0xfffbc000;
inline constexpr std::uint64_t kTssGpa = 0xfffbd000;

// ---- I/O ports
inline constexpr std::uint16_t kSerialPort = 0x3f8;  // COM1
/// ACPI sleep control, sleep status and reset (hardware-reduced: any free ports will do).
inline constexpr std::uint16_t kSleepControlPort = 0x600;
inline constexpr std::uint16_t kSleepStatusPort = 0x601;
inline constexpr std::uint16_t kResetPort = 0x602;

// ---- interrupts: pins of the one IOAPIC
inline constexpr std::uint32_t kSerialGsi = 4;
inline constexpr std::uint32_t kFirstVirtioGsi = 5;
inline constexpr std::uint32_t kIoapicPins = 24;
inline constexpr std::size_t kMaxVirtioDevices = kIoapicPins - kFirstVirtioGsi;

inline constexpr std::uint32_t kMaxVcpus = 16;

constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) noexcept {
  return (value + alignment - 1) / alignment * alignment;
}
constexpr std::uint64_t align_down(std::uint64_t value, std::uint64_t alignment) noexcept {
  return value / alignment * alignment;
}

}  // namespace pyro::vmm::layout
