#include "vmm/probe_guest.hpp"

#include "base/clock.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

namespace pyro::vmm {

namespace {

// Guest physical addresses. Paging maps the first 2 MiB onto themselves with one large page.
constexpr std::uint64_t kPml4Gpa = 0x1000;
constexpr std::uint64_t kPdptGpa = 0x2000;
constexpr std::uint64_t kPageDirectoryGpa = 0x3000;
constexpr std::uint64_t kCodeGpa = 0x4000;
constexpr std::size_t kMemoryBytes = 0x5000;

// Where Intel hosts keep three pages for themselves: below 4 GiB and outside guest memory (KVM API 4.35).
constexpr unsigned long kTssGpa = 0xfffbd000;

// Page table entry and control register bits (Intel SDM volume 3, 2.5 and 4.5).
constexpr std::uint64_t kPtePresentWritable = 0x3;
constexpr std::uint64_t kPteLargePage = 0x80;
constexpr std::uint64_t kCr0ProtectedPaged = 0x80000011;  // PE, ET, PG
constexpr std::uint64_t kCr4Pae = 0x20;
constexpr std::uint64_t kEferLongModeActive = 0x500;  // LME, LMA
constexpr std::uint64_t kRflagsReserved = 0x2;

// loop: dec ecx; jnz loop; hlt
constexpr std::array<std::uint8_t, 5> kLoopCode{0xff, 0xc9, 0x75, 0xfc, 0xf4};

// More CPUID leaves than any processor that KVM describes has (KVM's own limit is 256).
constexpr std::size_t kMaxCpuidEntries = 256;

base::Error refused(const char* step) {
  return base::errno_error(errno, std::string("KVM refuses ") + step);
}

base::Result<Mapping> map_memory(std::size_t size_bytes, int flags, int fd) {
  void* address = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (address == MAP_FAILED) {
    return base::errno_error(errno, "cannot map memory for a guest");
  }
  return Mapping(address, size_bytes);
}

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

// kvm_cpuid2 as the kernel has it. In C++ the kernel's own header gives it four bytes too many, because its
// flexible array needs an empty struct, and with them wrong ioctl numbers.
struct CpuidHeader {
  std::uint32_t nent;
  std::uint32_t padding;
};
struct Cpuid {
  CpuidHeader header;
  std::array<kvm_cpuid_entry2, kMaxCpuidEntries> entries;
};
static_assert(sizeof(Cpuid) == 8 + kMaxCpuidEntries * 40);
constexpr unsigned long kGetSupportedCpuid = _IOWR(KVMIO, 0x05, CpuidHeader);
constexpr unsigned long kSetCpuid2 = _IOW(KVMIO, 0x90, CpuidHeader);

// What the host supports, unchanged: a vCPU without CPUID leaves may be refused long mode.
base::Status copy_cpuid(const base::Fd& kvm, const base::Fd& vcpu) {
  const auto cpuid = std::make_unique<Cpuid>();
  cpuid->header.nent = kMaxCpuidEntries;
  if (::ioctl(kvm.get(), kGetSupportedCpuid, cpuid.get()) != 0 || ::ioctl(vcpu.get(), kSetCpuid2, cpuid.get()) != 0) {
    return refused("to describe its processor");
  }
  return base::success();
}

}  // namespace

Mapping::Mapping(Mapping&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (address_ != nullptr) {
    ::munmap(address_, size_bytes_);
  }
}

base::Result<ProbeGuest> ProbeGuest::create(const base::Fd& kvm) {
  ProbeGuest guest;
  PYRO_TRY_ASSIGN(guest.memory_, map_memory(kMemoryBytes, MAP_PRIVATE | MAP_ANONYMOUS, -1));
  write_guest(guest.memory_);

  guest.vm_.reset(::ioctl(kvm.get(), KVM_CREATE_VM, 0));
  if (!guest.vm_.valid()) {
    return refused("to create a VM");
  }
  // Intel needs it, AMD has no use for it and may say no.
  ::ioctl(guest.vm_.get(), KVM_SET_TSS_ADDR, kTssGpa);
  kvm_userspace_memory_region region{};
  region.memory_size = kMemoryBytes;
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(guest.memory_.get());
  if (::ioctl(guest.vm_.get(), KVM_SET_USER_MEMORY_REGION, &region) != 0) {
    return refused("guest memory");
  }
  guest.vcpu_.reset(::ioctl(guest.vm_.get(), KVM_CREATE_VCPU, 0));
  if (!guest.vcpu_.valid()) {
    return refused("to create a vCPU");
  }
  const int run_bytes = ::ioctl(kvm.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (run_bytes < static_cast<int>(sizeof(kvm_run))) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "KVM gives a vCPU page of {} bytes", run_bytes);
  }
  PYRO_TRY_ASSIGN(guest.run_, map_memory(static_cast<std::size_t>(run_bytes), MAP_SHARED, guest.vcpu_.get()));
  PYRO_TRY(copy_cpuid(kvm, guest.vcpu_));
  PYRO_TRY(guest.enter_long_mode());
  return guest;
}

base::Status ProbeGuest::enter_long_mode() {
  kvm_sregs sregs{};
  if (::ioctl(vcpu_.get(), KVM_GET_SREGS, &sregs) != 0) {
    return refused("to tell a vCPU's registers");
  }
  kvm_segment code{};
  code.limit = 0xffffffff;
  code.selector = 0x8;
  code.type = 0xb;  // execute, read, accessed
  code.present = 1;
  code.s = 1;
  code.l = 1;
  code.g = 1;
  kvm_segment data = code;
  data.selector = 0x10;
  data.type = 0x3;  // read, write, accessed
  data.l = 0;
  data.db = 1;
  sregs.cs = code;
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
  sregs.cr0 = kCr0ProtectedPaged;
  sregs.cr3 = kPml4Gpa;
  sregs.cr4 = kCr4Pae;
  sregs.efer = kEferLongModeActive;
  if (::ioctl(vcpu_.get(), KVM_SET_SREGS, &sregs) != 0) {
    return refused("long mode");
  }
  return base::success();
}

base::Result<std::optional<std::int64_t>> ProbeGuest::time_loop(std::uint32_t iterations) {
  kvm_regs regs{};
  regs.rip = kCodeGpa;
  regs.rcx = iterations;
  regs.rflags = kRflagsReserved;
  if (::ioctl(vcpu_.get(), KVM_SET_REGS, &regs) != 0) {
    return refused("to set a vCPU's registers");
  }
  const std::int64_t begin_ns = base::monotonic_ns();
  // A signal that is not ours interrupts too: go on unless it asked us to stop.
  while (::ioctl(vcpu_.get(), KVM_RUN, 0) != 0) {
    if (errno != EINTR && errno != EAGAIN) {
      return refused("to run a vCPU");
    }
    if (static_cast<volatile kvm_run*>(run())->immediate_exit != 0) {
      return std::optional<std::int64_t>();
    }
  }
  const std::int64_t end_ns = base::monotonic_ns();
  if (run()->exit_reason != KVM_EXIT_HLT) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "KVM stopped a guest's loop with exit reason {}",
                            static_cast<std::uint32_t>(run()->exit_reason));
  }
  return std::optional<std::int64_t>(std::max<std::int64_t>(end_ns - begin_ns, 1));
}

}  // namespace pyro::vmm
