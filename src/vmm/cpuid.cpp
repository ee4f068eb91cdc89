#include "vmm/cpuid.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace pyro::vmm {

namespace {

constexpr std::uint32_t bits(std::initializer_list<int> numbers) {
  std::uint32_t value = 0;
  for (const int number : numbers) {
    value |= 1U << number;
  }
  return value;
}

using Register = std::uint32_t kvm_cpuid_entry2::*;

// Features that a sandbox must not see, or that would tie it to one host (Intel SDM volume 2, CPUID; AMD
// APM volume 3, appendix E).
struct Removal {
  std::uint32_t function;
  std::uint32_t index;
  Register in;
  std::uint32_t bits;
};
constexpr std::array kRemoved{
    // DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, PDCM, DCA
    Removal{0x1, 0, &kvm_cpuid_entry2::ecx, bits({2, 3, 4, 5, 6, 7, 8, 15, 18})},
    // DS, ACPI, TM, PBE
    Removal{0x1, 0, &kvm_cpuid_entry2::edx, bits({21, 22, 29, 31})},
    // SGX, HLE, RTM, RDT-M, MPX, RDT-A, PT
    Removal{0x7, 0, &kvm_cpuid_entry2::ebx, bits({2, 4, 11, 12, 14, 15, 25})},
    // WAITPKG, TME, ENQCMD, SGX_LC
    Removal{0x7, 0, &kvm_cpuid_entry2::ecx, bits({5, 13, 29, 30})},
    // UINTR, PCONFIG, LBR, AMX
    Removal{0x7, 0, &kvm_cpuid_entry2::edx, bits({5, 18, 19, 22, 24, 25})},
    // SVM, IBS, SKINIT, WDT, LWP, NODEID, PERFCTR_CORE, PERFCTR_NB, PTSC, PERFCTR_LLC, MWAITX
    Removal{0x80000001, 0, &kvm_cpuid_entry2::ecx, bits({2, 10, 12, 13, 15, 19, 23, 24, 27, 28, 29})},
    // Asynchronous page faults: a guest that was copied must not wait for an answer to another's fault.
    Removal{0x40000001, 0, &kvm_cpuid_entry2::eax, bits({4, 10, 14})},
};

// Leaves that are empty for a guest: MONITOR, performance counters, RDT, SGX, PT, AMX; SVM, IBS, SEV.
constexpr std::array<std::uint32_t, 12> kEmptied{0x5,  0xa,  0xf,        0x10,       0x12,       0x14,
                                                 0x1d, 0x1e, 0x8000000a, 0x8000001b, 0x8000001f, 0x80000022};
// Leaves that are made anew.
constexpr std::array<std::uint32_t, 2> kTopologyLeaves{0xb, 0x1f};

// State components (XCR0) of a guest: x87, SSE, AVX, AVX-512 (three), PKRU.
constexpr std::uint32_t kStateComponents = bits({0, 1, 2, 5, 6, 7, 9});

constexpr std::uint32_t kHypervisorPresent = 1U << 31;
constexpr std::uint32_t kTscDeadline = 1U << 24;
constexpr std::uint32_t kHyperThreading = 1U << 28;
constexpr std::uint32_t kAlwaysRunningApicTimer = 1U << 2;

constexpr std::uint32_t replace(std::uint32_t value, int shift, std::uint32_t mask, std::uint32_t field) {
  return (value & ~(mask << shift)) | ((field & mask) << shift);
}

template <typename List>
bool contains(const List& list, std::uint32_t function) {
  return std::find(list.begin(), list.end(), function) != list.end();
}

// Deterministic cache parameters (0x4; AMD: 0x8000001d): levels 1 and 2 belong to one vCPU, level 3 to all.
void describe_cache(kvm_cpuid_entry2& entry, std::uint32_t count) {
  const std::uint32_t level = entry.eax >> 5 & 0x7;
  entry.eax = replace(entry.eax, 14, 0xfff, level >= 3 ? count - 1 : 0);
  if (entry.function == 0x4) {
    entry.eax = replace(entry.eax, 26, 0x3f, count - 1);
  }
}

void describe_processor(kvm_cpuid_entry2& entry, std::uint32_t id, std::uint32_t count, bool tsc_deadline) {
  switch (entry.function) {
    case 0x1:
      entry.ebx = replace(entry.ebx, 24, 0xff, id);
      entry.ebx = replace(entry.ebx, 16, 0xff, count);
      entry.ecx |= kHypervisorPresent | (tsc_deadline ? kTscDeadline : 0);
      entry.edx = count > 1 ? entry.edx | kHyperThreading : entry.edx & ~kHyperThreading;
      break;
    case 0x4:
    case 0x8000001d:
      describe_cache(entry, count);
      break;
    case 0x6:
      entry.eax &= kAlwaysRunningApicTimer;
      entry.ebx = entry.ecx = entry.edx = 0;
      break;
    case 0xd:
      if (entry.index == 0) {
        entry.eax &= kStateComponents;
        entry.edx = 0;
      } else if (entry.index == 1) {
        // No supervisor state components (XSS).
        entry.ecx = entry.edx = 0;
      }
      break;
    case 0x80000008:
      entry.ecx = replace(entry.ecx, 0, 0xff, count - 1);
      entry.ecx = replace(entry.ecx, 12, 0xf, static_cast<std::uint32_t>(std::bit_width(count - 1)));
      break;
    case 0x8000001e:
      entry.eax = id;
      entry.ebx = id;  // one thread a core
      entry.ecx = 0;
      break;
    default:
      break;
  }
}

// Extended topology (0xb, 0x1f): threads, then cores.
void add_topology(CpuidEntries& entries, std::uint32_t function, std::uint32_t id, std::uint32_t count) {
  constexpr std::uint32_t smt_level = 1;
  constexpr std::uint32_t core_level = 2;
  const auto core_bits = static_cast<std::uint32_t>(std::bit_width(count - 1));
  const auto add = [&](std::uint32_t index, std::uint32_t shift, std::uint32_t processors, std::uint32_t level) {
    kvm_cpuid_entry2 entry{};
    entry.function = function;
    entry.index = index;
    entry.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
    entry.eax = shift;
    entry.ebx = processors;
    entry.ecx = level << 8 | index;
    entry.edx = id;
    entries.push_back(entry);
  };
  add(0, 0, 1, smt_level);
  add(1, core_bits, count, core_level);
  add(2, 0, 0, 0);
}

}  // namespace

CpuidEntries guest_cpuid(const CpuidEntries& supported, std::uint32_t id, std::uint32_t count, bool tsc_deadline) {
  CpuidEntries entries;
  entries.reserve(supported.size() + 6);
  std::uint32_t last_basic = 0;
  for (kvm_cpuid_entry2 entry : supported) {
    if (entry.function == 0) {
      last_basic = entry.eax;
    }
    const bool component_is_hidden =
        entry.function == 0xd && entry.index >= 2 && (entry.index > 31 || (kStateComponents & 1U << entry.index) == 0);
    if (contains(kEmptied, entry.function) || contains(kTopologyLeaves, entry.function) || component_is_hidden) {
      continue;
    }
    for (const Removal& removal : kRemoved) {
      if (removal.function == entry.function && removal.index == entry.index) {
        entry.*removal.in &= ~removal.bits;
      }
    }
    describe_processor(entry, id, count, tsc_deadline);
    entries.push_back(entry);
  }
  for (const std::uint32_t function : kTopologyLeaves) {
    if (function <= last_basic && entries.size() + 3 <= kMaxCpuidEntries) {
      add_topology(entries, function, id, count);
    }
  }
  return entries;
}

}  // namespace pyro::vmm
