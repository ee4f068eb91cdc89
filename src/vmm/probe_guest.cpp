#include "vmm/probe_guest.hpp"

#include "base/clock.hpp"
#include "vmm/layout.hpp"
#include "vmm/long_mode.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/mman.h>

namespace pyro::vmm {

namespace {

// Guest physical addresses. Paging maps the first 2 MiB onto themselves with one large page.
constexpr std::uint64_t kPml4Gpa = 0x1000;
constexpr std::uint64_t kPdptGpa = 0x2000;
constexpr std::uint64_t kPageDirectoryGpa = 0x3000;
constexpr std::uint64_t kCodeGpa = 0x4000;
constexpr std::size_t kMemoryBytes = 0x5000;

// loop: dec ecx; jnz loop; hlt
constexpr std::array<std::uint8_t, 5> kLoopCode{0xff, 0xc9, 0x75, 0xfc, 0xf4};

void write_guest(const Mapping& memory) {
  auto* bytes = static_cast<std::byte*>(memory.get());
  const auto entry = [bytes](std::uint64_t gpa, std::uint64_t value) {
    std::memcpy(bytes + gpa, &value, sizeof(value));
  };
  entry(kPml4Gpa, kPdptGpa | kPtePresentWritable);
  entry(kPdptGpa, kPageDirectoryGpa | kPtePresentWritable);
  entry(kPageDirectoryGpa, kPteLargePage | kPtePresentWritable);
  std::memcpy(bytes + kCodeGpa, kLoopCode.data(), kLoopCode.size());
}

}  // namespace

base::Result<ProbeGuest> ProbeGuest::create(Kvm& kvm) {
  PYRO_TRY_ASSIGN(Mapping memory, Mapping::map(kMemoryBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                                               "memory for a guest"));
  write_guest(memory);
  PYRO_TRY_ASSIGN(Vm vm, kvm.create_vm());
  // Intel needs them, AMD has no use for them and may say no.
  (void)vm.set_host_pages(layout::kTssGpa, layout::kIdentityMapGpa);
  PYRO_TRY(vm.set_memory(0, 0, kMemoryBytes, memory.get(), false));
  PYRO_TRY_ASSIGN(Vcpu vcpu, vm.create_vcpu(0));
  // What the host supports, unchanged: a vCPU without CPUID leaves may be refused long mode.
  PYRO_TRY_ASSIGN(const CpuidEntries cpuid, kvm.supported_cpuid());
  PYRO_TRY(vcpu.set_cpuid(cpuid));
  ProbeGuest guest(std::move(memory), std::move(vm), std::move(vcpu));
  PYRO_TRY(guest.set_up_registers());
  return guest;
}

base::Status ProbeGuest::set_up_registers() {
  PYRO_TRY_ASSIGN(kvm_sregs sregs, vcpu_.sregs());
  enter_long_mode(sregs, kPml4Gpa, 0);
  return vcpu_.set_sregs(sregs);
}

base::Result<std::optional<std::int64_t>> ProbeGuest::time_loop(std::uint32_t iterations) {
  kvm_regs regs{};
  regs.rip = kCodeGpa;
  regs.rcx = iterations;
  regs.rflags = kRflagsReserved;
  PYRO_TRY(vcpu_.set_regs(regs));
  // The thread's own time, which the guest's is part of: on a busy host a wall clock would measure its neighbours.
  const std::int64_t begin_ns = base::clock_ns(CLOCK_THREAD_CPUTIME_ID);
  // A signal that is not ours interrupts too: go on unless it asked us to stop.
  while (const int error = vcpu_.enter()) {
    if (error != EINTR && error != EAGAIN) {
      return base::errno_error(error, "KVM refuses to run a vCPU");
    }
    if (static_cast<volatile kvm_run*>(run())->immediate_exit != 0) {
      return std::optional<std::int64_t>();
    }
  }
  const std::int64_t end_ns = base::clock_ns(CLOCK_THREAD_CPUTIME_ID);
  if (run()->exit_reason != KVM_EXIT_HLT) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "KVM stopped a guest's loop with exit reason {}",
                            static_cast<std::uint32_t>(run()->exit_reason));
  }
  return std::optional<std::int64_t>(std::max<std::int64_t>(end_ns - begin_ns, 1));
}

}  // namespace pyro::vmm
