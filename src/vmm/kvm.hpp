// The objects that KVM makes, each behind a small owner: the system (/dev/kvm), a VM, a vCPU. One method
// is one ioctl; what an ioctl needs and means is in the kernel's Documentation/virt/kvm/api.rst, whose
// section numbers stand at the methods. No policy lives here.
// Thread rule: Kvm and Vm: any thread. Vcpu: the thread that runs it, or any while it does not run.
#pragma once

#include "base/fd.hpp"
#include "vmm/mapping.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <linux/kvm.h>

namespace pyro::vmm {

/// An error for an ioctl that KVM refused: errno says why, `step` what it was for ("to create a VM").
base::Error kvm_refuses(const char* step);

/// What KVM_GET_SUPPORTED_CPUID and KVM_SET_CPUID2 exchange. KVM's own limit is 256 entries.
using CpuidEntries = std::vector<kvm_cpuid_entry2>;
inline constexpr std::size_t kMaxCpuidEntries = 256;

class Vcpu {
 public:
  Vcpu(base::Fd fd, Mapping run) noexcept : fd_(std::move(fd)), run_(std::move(run)) {}

  /// KVM_RUN (4.10). 0, or the errno (EINTR and EAGAIN are not failures: look at what is asked of the vCPU).
  [[nodiscard]] int enter() noexcept;
  /// The page shared with KVM; lives as long as this.
  [[nodiscard]] kvm_run& run() const noexcept { return *static_cast<kvm_run*>(run_.get()); }

  base::Status set_cpuid(const CpuidEntries& entries);            // 4.83
  base::Status set_msrs(std::span<const kvm_msr_entry> entries);  // 4.19
  base::Result<kvm_regs> regs() const;                            // 4.11
  base::Status set_regs(const kvm_regs& regs);                    // 4.12
  base::Result<kvm_sregs> sregs() const;                          // 4.13
  base::Status set_sregs(const kvm_sregs& sregs);                 // 4.14
  base::Result<kvm_mp_state> mp_state() const;                    // 4.38
  base::Result<kvm_lapic_state> lapic() const;                    // 4.57
  base::Status set_lapic(const kvm_lapic_state& lapic);           // 4.58

 private:
  base::Fd fd_;
  Mapping run_;
};

class Vm {
 public:
  explicit Vm(base::Fd fd, std::size_t vcpu_run_bytes) noexcept : fd_(std::move(fd)), run_bytes_(vcpu_run_bytes) {}

  /// Maps `size_bytes` at `host` into the guest at `gpa` (4.35). A read-only slot turns guest writes into
  /// MMIO exits.
  base::Status set_memory(std::uint32_t slot, std::uint64_t gpa, std::uint64_t size_bytes, void* host, bool read_only);
  /// Where Intel hosts keep four pages for themselves (4.35, 4.36).
  base::Status set_host_pages(std::uint64_t tss_gpa, std::uint64_t identity_map_gpa);
  /// The guest gets no performance counters (KVM_CAP_PMU_CAPABILITY, 8.35); before the first vCPU.
  base::Status disable_performance_counters();
  /// Local APICs, IOAPIC and PIC in the kernel (4.24); before the first vCPU.
  base::Status create_interrupt_controller();
  /// Writing to `eventfd` raises interrupt line `gsi`, as one edge (4.75).
  base::Status connect_interrupt(int eventfd, std::uint32_t gsi);
  /// A guest's 32-bit write of `value` to `gpa` signals `eventfd` and does not leave the kernel (4.59).
  base::Status connect_doorbell(int eventfd, std::uint64_t gpa, std::uint32_t value);
  base::Result<Vcpu> create_vcpu(std::uint32_t id);

 private:
  base::Fd fd_;
  std::size_t run_bytes_;
};

class Kvm {
 public:
  /// Takes over an open /dev/kvm and checks that it can do what this monitor needs. Errors: UNSUPPORTED,
  /// with what is missing.
  static base::Result<Kvm> adopt(base::Fd fd);

  base::Result<Vm> create_vm();
  /// What the host can offer a guest (4.46).
  base::Result<CpuidEntries> supported_cpuid() const;
  /// KVM_CHECK_EXTENSION (4.4): 0 means no.
  [[nodiscard]] int extension(unsigned long capability) const noexcept;

 private:
  Kvm(base::Fd fd, std::size_t run_bytes) noexcept : fd_(std::move(fd)), run_bytes_(run_bytes) {}

  base::Fd fd_;
  std::size_t run_bytes_;
};

}  // namespace pyro::vmm
