// The KVM requests that threads may make once their filters are in place, by number: <linux/kvm.h> is
// for room vmm, which checks these against it (vmm/kvm_requests.cpp).
#pragma once

#include <cstdint>

namespace pyro::jail {

// For vCPU threads, on their own vCPU.
inline constexpr std::uint32_t kKvmRun = 0xae80;

// For the main thread, on a vCPU that is parked.
inline constexpr std::uint32_t kKvmGetRegs = 0x8090ae81;
inline constexpr std::uint32_t kKvmGetMpState = 0x8004ae98;

}  // namespace pyro::jail
