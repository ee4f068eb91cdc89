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

// State components (XCR0) of a guest: x87, SSE, AVX, AVX-512 (three), PKRU.
constexpr std::uint32_t kStateComponents = bits({0, 1, 2, 5, 6, 7, 9});

constexpr std::uint32_t kWhole = 0xffffffff;
constexpr std::uint32_t kEveryIndex = 0xffffffff;

// What a guest may see of a leaf: the rest is zero. Leaves that are not here are empty. So what a later processor or kernel
// adds is not seen until somebody has looked at it. Left out are what a sandbox must not see and what would tie a guest to
// one host: nested virtualisation, performance counters, tracing, enclaves, memory encryption, resource and power control,
// transactional memory, AMX, control-flow enforcement (its state components are no guest's), user interrupts.
// Names: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; Linux, Documentation/virt/kvm/x86/cpuid.rst.
struct Leaf {
  std::uint32_t function;
  std::uint32_t index;
  std::uint32_t eax;
  std::uint32_t ebx;
  std::uint32_t ecx;
  std::uint32_t edx;
};
constexpr std::array kLeaves{
    Leaf{0x0, 0, kWhole, kWhole, kWhole, kWhole},  // the last leaf, the vendor
    // ecx: SSE3, PCLMULQDQ, SSSE3, FMA, CMPXCHG16B, PCID, SSE4.1, SSE4.2, x2APIC, MOVBE, POPCNT, TSC deadline, AES, XSAVE,
    // OSXSAVE, AVX, F16C, RDRAND. edx: FPU ... TSC, MSR, PAE, MCE, CX8, APIC, SEP, MTRR, PGE, MCA, CMOV, PAT, PSE-36, CLFLUSH,
    // MMX, FXSR, SSE, SSE2, self-snoop, HTT
    Leaf{0x1, 0, kWhole, kWhole, bits({0, 1, 9, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30}),
         bits({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26, 27, 28})},
    Leaf{0x2, 0, kWhole, kWhole, kWhole, kWhole},            // caches, as codes
    Leaf{0x4, kEveryIndex, kWhole, kWhole, kWhole, kWhole},  // caches
    Leaf{0x6, 0, bits({2}), 0, 0, 0},                        // an APIC timer that never stops
    // ebx: FSGSBASE, TSC_ADJUST, BMI1, AVX2, FDP_EXCPTN_ONLY, SMEP, BMI2, ERMS, INVPCID, no FPU CS and DS, AVX512F, DQ, RDSEED,
    // ADX, SMAP, IFMA, CLFLUSHOPT, CLWB, PF, ER, CD, SHA, BW, VL. ecx: VBMI, UMIP, PKU, OSPKE, VBMI2, GFNI, VAES, VPCLMULQDQ,
    // VNNI, BITALG, VPOPCNTDQ, LA57, RDPID, CLDEMOTE, MOVDIRI, MOVDIR64B. edx: 4VNNIW, 4FMAPS, FSRM, VP2INTERSECT, MD_CLEAR,
    // SERIALIZE, FP16, IBRS, STIBP, L1D_FLUSH, ARCH_CAPABILITIES, SSBD
    Leaf{0x7, 0, kWhole, bits({0, 1, 3, 5, 6, 7, 8, 9, 10, 13, 16, 17, 18, 19, 20, 21, 23, 24, 26, 27, 28, 29, 30, 31}),
         bits({1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 14, 16, 22, 25, 27, 28}),
         bits({2, 3, 4, 8, 10, 14, 23, 26, 27, 28, 29, 31})},
    // SHA512, SM3, SM4, AVX_VNNI, BF16, CMPCCXADD, fast short REP (three), AVX_IFMA; AVX_VNNI_INT8, AVX_NE_CONVERT,
    // AVX_VNNI_INT16, PREFETCHI
    Leaf{0x7, 1, bits({0, 1, 2, 4, 5, 7, 10, 11, 12, 23}), 0, 0, bits({4, 5, 10, 14})},
    // PSFD, IPRED_CTRL, RRSBA_CTRL, DDPD_U, BHI_CTRL, MCDT_NO
    Leaf{0x7, 2, 0, 0, 0, bits({0, 1, 2, 3, 4, 5})},
    Leaf{0xd, 0, kStateComponents, kWhole, kWhole, 0},
    // XSAVEOPT, XSAVEC, XGETBV 1, XSAVES; no supervisor state components (XSS)
    Leaf{0xd, 1, bits({0, 1, 2, 3}), kWhole, 0, 0},
    Leaf{0xd, kEveryIndex, kWhole, kWhole, kWhole, kWhole},
    Leaf{0x40000000, 0, kWhole, kWhole, kWhole, kWhole},  // KVM's name
    // Clocks (two, stable), no I/O delay, steal time, end of interrupt, unhalt, TLB flush, IPI, halt polling, yield, wide APIC ids.
    // No asynchronous page faults: a guest that was copied must not wait for an answer to another's fault.
    Leaf{0x40000001, 0, bits({0, 1, 3, 5, 6, 7, 9, 11, 12, 13, 15, 24}), 0, 0, 0},
    Leaf{0x80000000, 0, kWhole, kWhole, kWhole, kWhole},
    // ecx: LAHF, CMP_LEGACY, EXTAPIC, CR8_LEGACY, ABM, SSE4A, MISALIGNSSE, PREFETCHW, OSVW, XOP, FMA4, TBM, TOPOEXT.
    // edx: as in 0x1, and SYSCALL, NX, MMXEXT, FXSR_OPT, 1 GiB pages, RDTSCP, long mode, 3DNOW (two)
    Leaf{0x80000001, 0, kWhole, kWhole, bits({0, 1, 3, 4, 5, 6, 7, 8, 9, 11, 16, 21, 22}),
         bits({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 20, 22, 23, 24, 25, 26, 27, 29, 30, 31})},
    Leaf{0x80000002, 0, kWhole, kWhole, kWhole, kWhole},  // the processor's name
    Leaf{0x80000003, 0, kWhole, kWhole, kWhole, kWhole},
    Leaf{0x80000004, 0, kWhole, kWhole, kWhole, kWhole},
    Leaf{0x80000005, 0, kWhole, kWhole, kWhole, kWhole},  // caches and TLBs
    Leaf{0x80000006, 0, kWhole, kWhole, kWhole, kWhole},
    Leaf{0x80000007, 0, 0, 0, 0, bits({8})},  // a TSC that never stops
    // CLZERO, XSAVEERPTR, WBNOINVD, IBPB, IBRS, STIBP, IBRS and STIBP always on, IBRS preferred, IBRS for all modes, SSBD, VIRT_SSBD,
    // SSB_NO, PSFD, BTC_NO, IBPB_RET
    Leaf{0x80000008, 0, kWhole, bits({0, 2, 9, 12, 14, 15, 16, 17, 18, 19, 24, 25, 26, 28, 29, 30}), kWhole, 0},
    Leaf{0x8000001a, 0, kWhole, 0, 0, 0},                           // width of the floating-point unit
    Leaf{0x8000001d, kEveryIndex, kWhole, kWhole, kWhole, kWhole},  // caches
    Leaf{0x8000001e, 0, kWhole, kWhole, kWhole, 0},
    // No nested data breakpoints, LFENCE serializes, VERW_CLEAR, null selectors clear their base, AUTOIBRS, no SMM_CTL, SBPB,
    // IBPB_BRTYPE, SRSO_NO; TSA_SQ_NO, TSA_L1_NO
    Leaf{0x80000021, 0, bits({0, 2, 5, 6, 8, 9, 27, 28, 29}), 0, bits({1, 2}), 0},
};

const Leaf* find_leaf(const kvm_cpuid_entry2& entry) {
  const auto* const found = std::find_if(kLeaves.begin(), kLeaves.end(), [&entry](const Leaf& leaf) {
    return leaf.function == entry.function && (leaf.index == entry.index || leaf.index == kEveryIndex);
  });
  return found == kLeaves.end() ? nullptr : found;
}

// Leaves that are made anew.
constexpr std::array<std::uint32_t, 2> kTopologyLeaves{0xb, 0x1f};

// The last index of leaf 0x7 that a guest sees.
constexpr std::uint32_t kLastFeatureIndex = 2;
constexpr std::uint32_t kHypervisorPresent = 1U << 31;
constexpr std::uint32_t kTscDeadline = 1U << 24;
constexpr std::uint32_t kHyperThreading = 1U << 28;

constexpr std::uint32_t replace(std::uint32_t value, int shift, std::uint32_t mask, std::uint32_t field) {
  return (value & ~(mask << shift)) | ((field & mask) << shift);
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
    case 0x7:
      if (entry.index == 0) {
        entry.eax = std::min(entry.eax, kLastFeatureIndex);
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
    const Leaf* const leaf = find_leaf(entry);
    if (leaf == nullptr || component_is_hidden) {
      continue;
    }
    entry.eax &= leaf->eax;
    entry.ebx &= leaf->ebx;
    entry.ecx &= leaf->ecx;
    entry.edx &= leaf->edx;
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
