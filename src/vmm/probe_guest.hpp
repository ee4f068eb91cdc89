// The guest that the probe times: one vCPU in long mode at CPL 0, 20 KiB of memory, a loop and a HLT.
// CPL 0 matters: emulating hosts run guest user mode natively. There is no in-kernel interrupt controller,
// so HLT comes back to us.
// Thread rule: one thread, the one that created it.
#pragma once

#include "vmm/kvm.hpp"

#include <cstdint>
#include <optional>

namespace pyro::vmm {

class ProbeGuest {
 public:
  /// A guest on the KVM that `kvm` is. The error says which step KVM refused.
  static base::Result<ProbeGuest> create(Kvm& kvm);

  /// Runs the loop from its start and gives the nanoseconds until its HLT; nothing if run().immediate_exit
  /// ended it before. An error if the guest left in any other way.
  base::Result<std::optional<std::int64_t>> time_loop(std::uint32_t iterations);

  /// The vCPU's page shared with KVM; lives as long as this guest.
  [[nodiscard]] kvm_run* run() const noexcept { return &vcpu_.run(); }

 private:
  ProbeGuest(Mapping memory, Vm vm, Vcpu vcpu) noexcept
      : memory_(std::move(memory)), vm_(std::move(vm)), vcpu_(std::move(vcpu)) {}
  base::Status set_up_registers();

  // Ended in reverse order: vCPU and VM before the memory that they use.
  Mapping memory_;
  Vm vm_;
  Vcpu vcpu_;
};

}  // namespace pyro::vmm
