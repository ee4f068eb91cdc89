#include "vmm/long_mode.hpp"

#include <linux/kvm.h>

namespace pyro::vmm {

namespace {

// Intel SDM volume 3, 2.5.
constexpr std::uint64_t kCr0ProtectedPaged = 0x80000011;  // PG, ET, PE
constexpr std::uint64_t kCr4Pae = 0x20;
constexpr std::uint64_t kEferLongModeActive = 0x500;  // LMA, LME

// __BOOT_CS and __BOOT_DS of the boot protocol.
constexpr std::uint16_t kCodeSelector = 0x10;
constexpr std::uint16_t kDataSelector = 0x18;

// Segment descriptors (Intel SDM volume 3, 3.4.5): present, base 0, limit 4 GiB.
constexpr std::uint64_t kCodeDescriptor = 0x00af9b000000ffff;  // execute, read, accessed; L
constexpr std::uint64_t kDataDescriptor = 0x00cf93000000ffff;  // read, write, accessed; D

kvm_segment flat_segment(std::uint16_t selector, bool code) noexcept {
  kvm_segment segment{};
  segment.limit = 0xffffffff;
  segment.selector = selector;
  segment.type = code ? 0xb : 0x3;
  segment.present = 1;
  segment.s = 1;
  segment.l = code ? 1 : 0;
  segment.db = code ? 0 : 1;
  segment.g = 1;
  return segment;
}

}  // namespace

std::array<std::uint64_t, 4> flat_gdt() noexcept {
  return {0, 0, kCodeDescriptor, kDataDescriptor};
}

void enter_long_mode(kvm_sregs& sregs, std::uint64_t pml4_gpa, std::uint64_t gdt_gpa) noexcept {
  sregs.cs = flat_segment(kCodeSelector, true);
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat_segment(kDataSelector, false);
  if (gdt_gpa != 0) {
    sregs.gdt.base = gdt_gpa;
    sregs.gdt.limit = sizeof(flat_gdt()) - 1;
    sregs.idt.base = 0;
    sregs.idt.limit = 0;
  }
  sregs.cr0 = kCr0ProtectedPaged;
  sregs.cr3 = pml4_gpa;
  sregs.cr4 = kCr4Pae;
  sregs.efer = kEferLongModeActive;
}

}  // namespace pyro::vmm
