// The guest that the probe times: one vCPU in long mode at CPL 0, 20 KiB of memory, a loop and a HLT.
// CPL 0 matters: emulating hosts run guest user mode natively. There is no in-kernel interrupt controller,
// so HLT comes back to us.
// Thread rule: one thread, the one that created it.
#pragma once

#include "base/fd.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

struct kvm_run;

namespace pyro::vmm {

/// A mapping of memory, unmapped with its owner.
class Mapping {
 public:
  Mapping() noexcept = default;
  /// Takes over what mmap() gave.
  Mapping(void* address, std::size_t size_bytes) noexcept : address_(address), size_bytes_(size_bytes) {}
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  [[nodiscard]] void* get() const noexcept { return address_; }

 private:
  void* address_ = nullptr;
  std::size_t size_bytes_ = 0;
};

class ProbeGuest {
 public:
  /// A guest on the KVM that `kvm` is. The error says which step KVM refused.
  static base::Result<ProbeGuest> create(const base::Fd& kvm);

  /// Runs the loop from its start and gives the nanoseconds until its HLT; nothing if run().immediate_exit
  /// ended it before. An error if the guest left in any other way.
  base::Result<std::optional<std::int64_t>> time_loop(std::uint32_t iterations);

  /// The vCPU's page shared with KVM; lives as long as this guest.
  [[nodiscard]] kvm_run* run() const noexcept { return static_cast<kvm_run*>(run_.get()); }

 private:
  ProbeGuest() = default;
  base::Status enter_long_mode();

  // Ended in reverse order: vCPU and VM before the memory that they use.
  Mapping memory_;
  Mapping run_;
  base::Fd vm_;
  base::Fd vcpu_;
};

}  // namespace pyro::vmm
