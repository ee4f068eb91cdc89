// What processor a guest sees: of a list of features those that the host offers, plus the guest's own topology. The list has
// a name; a saved guest may continue wherever the same name gives the same leaves.
// Thread rule: pure.
#pragma once

#include "vmm/kvm.hpp"

#include <cstdint>

namespace pyro::vmm {

/// The list's name. Changes whenever the list, or the topology, does.
inline constexpr const char* kCpuBaseline = "pyro-2";

/// The leaves for vCPU `id` of `count`, made from KVM's supported ones: without nested virtualisation, performance
/// counters, tracing, enclaves, power management, transactional memory and whatever the list does not know; one socket, one
/// thread a core. `tsc_deadline`: KVM has the timer mode of that name (older kernels leave its bit out).
CpuidEntries guest_cpuid(const CpuidEntries& supported, std::uint32_t id, std::uint32_t count, bool tsc_deadline);

}  // namespace pyro::vmm
