// The KVM requests that threads may make once their filters are in place, by number: <linux/kvm.h> is
// for room vmm, which checks these against it (vmm/kvm_requests.cpp).
#pragma once

#include <cstdint>

namespace pyro::jail {

// For vCPU threads, on their own vCPU.
inline constexpr std::uint32_t kKvmRun = 0xae80;
inline constexpr std::uint32_t kKvmGetRegs = 0x8090ae81;
inline constexpr std::uint32_t kKvmGetSregs = 0x8138ae83;
inline constexpr std::uint32_t kKvmGetMpState = 0x8004ae98;
inline constexpr std::uint32_t kKvmGetVcpuEvents = 0x8040ae9f;
/// Tells the guest that it was paused, so that its watchdogs do not bark.
inline constexpr std::uint32_t kKvmKvmclockCtrl = 0xaead;

// For the main thread, on the VM.
inline constexpr std::uint32_t kKvmGetClock = 0x8030ae7c;
inline constexpr std::uint32_t kKvmSetClock = 0x4030ae7b;

}  // namespace pyro::jail
