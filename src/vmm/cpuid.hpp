// What processor a guest sees: what the host offers, minus a list, plus the guest's own topology. The list
// has a name, and a saved guest may continue wherever the same name gives the same leaves.
// Thread rule: pure.
#pragma once

#include "vmm/kvm.hpp"

#include <cstdint>

namespace pyro::vmm {

/// Changes whenever the list below, or the topology, does.
inline constexpr const char* kCpuBaseline = "pyro-1";

/// The leaves for vCPU `id` of `count`, made from KVM's supported ones: nested virtualisation, performance
/// counters, tracing, enclaves, power management and transactional memory are gone; one socket, one thread
/// a core. `tsc_deadline`: KVM has the timer mode of that name (older kernels leave its bit out).
CpuidEntries guest_cpuid(const CpuidEntries& supported, std::uint32_t id, std::uint32_t count, bool tsc_deadline);

}  // namespace pyro::vmm
