// The state in which a vCPU enters 64-bit code with paging on: what the Linux boot protocol asks for
// (Documentation/x86/boot.rst, "64-bit Boot Protocol"), and what the probe's guest runs in.
// Thread rule: pure.
#pragma once

#include <array>
#include <cstdint>

struct kvm_sregs;

namespace pyro::vmm {

/// A global descriptor table that goes with long_mode(): null, null, code at 0x10, data at 0x18.
std::array<std::uint64_t, 4> flat_gdt() noexcept;

/// Changes `sregs` to long mode at CPL 0 with flat segments and the page tables at `pml4_gpa`.
/// `gdt_gpa`: where flat_gdt() lies, 0 for none.
void enter_long_mode(kvm_sregs& sregs, std::uint64_t pml4_gpa, std::uint64_t gdt_gpa) noexcept;

// Bits of page table entries (Intel SDM volume 3, 4.5).
inline constexpr std::uint64_t kPtePresentWritable = 0x3;
inline constexpr std::uint64_t kPteLargePage = 0x80;

/// Bit 1 of RFLAGS is always set; interrupts are off.
inline constexpr std::uint64_t kRflagsReserved = 0x2;

}  // namespace pyro::vmm
