#include "vmm/cpuid.hpp"

#include <algorithm>

#include <doctest/doctest.h>

namespace pyro::vmm {

namespace {

kvm_cpuid_entry2 entry(std::uint32_t function, std::uint32_t index = 0, std::uint32_t all = 0xffffffff) {
  kvm_cpuid_entry2 value{};
  value.function = function;
  value.index = index;
  value.eax = value.ebx = value.ecx = value.edx = all;
  return value;
}

// A host that claims everything.
CpuidEntries everything() {
  CpuidEntries entries{entry(0, 0, 0x1f)};
  for (const std::uint32_t function : {0x1U, 0x4U, 0x5U, 0x6U, 0x7U, 0xaU, 0xbU, 0xdU, 0x12U, 0x14U, 0x1fU, 0x40000001U,
                                       0x80000001U, 0x80000008U, 0x8000000aU, 0x8000001eU, 0x8000001fU}) {
    entries.push_back(entry(function));
  }
  entries.push_back(entry(0xd, 1));
  entries.push_back(entry(0xd, 2));
  entries.push_back(entry(0xd, 18));
  return entries;
}

const kvm_cpuid_entry2* find(const CpuidEntries& entries, std::uint32_t function, std::uint32_t index = 0) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const kvm_cpuid_entry2& candidate) {
    return candidate.function == function && candidate.index == index;
  });
  return found == entries.end() ? nullptr : &*found;
}

}  // namespace

TEST_SUITE("vmm") {
  TEST_CASE("cpuid: a host that has everything → no nested virtualisation, counters, enclaves or transactions") {
    const CpuidEntries guest = guest_cpuid(everything(), 0, 1, true);
    CHECK((find(guest, 0x1)->ecx & 1U << 5) == 0);                         // VMX
    CHECK((find(guest, 0x80000001)->ecx & 1U << 2) == 0);                  // SVM
    CHECK((find(guest, 0x7)->ebx & (1U << 2 | 1U << 4 | 1U << 11)) == 0);  // SGX, HLE, RTM
    for (const std::uint32_t function : {0xaU, 0x12U, 0x14U, 0x8000000aU, 0x8000001fU}) {
      CHECK(find(guest, function) == nullptr);
    }
    CHECK(find(guest, 0xd)->eax == 0x2e7);
    CHECK(find(guest, 0xd, 2) != nullptr);
    CHECK(find(guest, 0xd, 18) == nullptr);
    CHECK((find(guest, 0x40000001)->eax & 1U << 4) == 0);
  }

  TEST_CASE("cpuid: leaves and features that nobody has looked at → not seen") {
    CpuidEntries host = everything();
    for (const std::uint32_t function : {0x21U, 0x24U, 0x40000010U, 0x80000026U, 0xc0000001U}) {
      host.push_back(entry(function));
    }
    for (const std::uint32_t index : {1U, 2U, 3U}) {
      host.push_back(entry(0x7, index));
    }
    const CpuidEntries guest = guest_cpuid(host, 0, 1, true);
    for (const std::uint32_t function : {0x21U, 0x24U, 0x40000010U, 0x80000026U, 0xc0000001U}) {
      CHECK(find(guest, function) == nullptr);
    }
    CHECK(find(guest, 0x7)->eax == 2);
    CHECK(find(guest, 0x7, 3) == nullptr);
    CHECK((find(guest, 0x7)->ecx & 1U << 7) == 0);          // CET, shadow stacks
    CHECK((find(guest, 0x7)->edx & 1U << 20) == 0);         // CET, indirect branches
    CHECK((find(guest, 0x7, 1)->eax & 1U << 19) == 0);      // WRMSRNS
    CHECK((find(guest, 0x40000001)->eax >> 25) == 0);       // of a later KVM
    CHECK((find(guest, 0x80000001)->ecx & 1U << 23) == 0);  // performance counters of the core
    CHECK(find(guest, 0x80000008)->edx == 0);
  }

  TEST_CASE("cpuid: what programs compute with → seen") {
    const CpuidEntries guest = guest_cpuid(everything(), 0, 1, true);
    CHECK((find(guest, 0x1)->ecx & (1U << 12 | 1U << 20 | 1U << 25 | 1U << 28 | 1U << 30)) ==
          (1U << 12 | 1U << 20 | 1U << 25 | 1U << 28 | 1U << 30));  // FMA, SSE4.2, AES, AVX, RDRAND
    CHECK((find(guest, 0x7)->ebx & (1U << 5 | 1U << 16 | 1U << 29)) ==
          (1U << 5 | 1U << 16 | 1U << 29));  // AVX2, AVX512F, SHA
    CHECK((find(guest, 0x80000001)->edx & (1U << 20 | 1U << 26 | 1U << 29)) == (1U << 20 | 1U << 26 | 1U << 29));
    CHECK((find(guest, 0x40000001)->eax & (1U << 3 | 1U << 24)) == (1U << 3 | 1U << 24));  // a stable clock
  }

  TEST_CASE("cpuid: any host → a hypervisor is announced, and the timer that KVM has") {
    CpuidEntries host{entry(0, 0, 0xd), entry(0x1, 0, 0)};
    CHECK(find(guest_cpuid(host, 0, 1, true), 0x1)->ecx == 0x81000000);
    CHECK(find(guest_cpuid(host, 0, 1, false), 0x1)->ecx == 0x80000000);
  }

  TEST_CASE("cpuid: vCPU 3 of 4 → its own id everywhere, one thread a core, four cores") {
    const CpuidEntries guest = guest_cpuid(everything(), 3, 4, true);
    CHECK((find(guest, 0x1)->ebx >> 24) == 3);
    CHECK((find(guest, 0x1)->ebx >> 16 & 0xff) == 4);
    CHECK(find(guest, 0xb, 0)->edx == 3);
    CHECK(find(guest, 0xb, 0)->ebx == 1);
    CHECK(find(guest, 0xb, 1)->eax == 2);
    CHECK(find(guest, 0xb, 1)->ebx == 4);
    CHECK(find(guest, 0x1f, 1)->edx == 3);
    CHECK((find(guest, 0x80000008)->ecx & 0xff) == 3);
    CHECK(find(guest, 0x8000001e)->eax == 3);
    CHECK(std::count_if(guest.begin(), guest.end(), [](const auto& leaf) { return leaf.function == 0xb; }) == 3);
  }

  TEST_CASE("cpuid: as many leaves as KVM may have → not more than it takes back") {
    CpuidEntries host{entry(0, 0, 0x1f)};
    while (host.size() < kMaxCpuidEntries) {
      host.push_back(entry(0x2));
    }
    CHECK(guest_cpuid(host, 0, 1, true).size() <= kMaxCpuidEntries);
  }
}

}  // namespace pyro::vmm
