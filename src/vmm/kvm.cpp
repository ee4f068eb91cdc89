#include "vmm/kvm.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include <sys/ioctl.h>
#include <sys/mman.h>

namespace pyro::vmm {

namespace {

// kvm_cpuid2 and kvm_msrs as the kernel has them. In C++ the kernel's own header gives them four bytes too
// many, because its flexible array needs an empty struct, and with them wrong ioctl numbers.
struct ListHeader {
  std::uint32_t count;
  std::uint32_t padding;
};
struct CpuidList {
  ListHeader header;
  std::array<kvm_cpuid_entry2, kMaxCpuidEntries> entries;
};
// More than a vCPU of ours is ever given at once.
constexpr std::size_t kMaxMsrEntries = 64;
struct MsrList {
  ListHeader header;
  std::array<kvm_msr_entry, kMaxMsrEntries> entries;
};
static_assert(sizeof(CpuidList) == 8 + kMaxCpuidEntries * 40);
static_assert(sizeof(MsrList) == 8 + kMaxMsrEntries * 16);
constexpr unsigned long kGetSupportedCpuid = _IOWR(KVMIO, 0x05, ListHeader);
constexpr unsigned long kSetCpuid2 = _IOW(KVMIO, 0x90, ListHeader);
constexpr unsigned long kSetMsrs = _IOW(KVMIO, 0x89, ListHeader);

struct Requirement {
  unsigned long capability;
  const char* name;
};
// All of them are in every kernel since 4.12, on every x86 host; their absence means a KVM of another kind.
constexpr std::array kRequired{
    Requirement{KVM_CAP_USER_MEMORY, "user memory"},
    Requirement{KVM_CAP_READONLY_MEM, "read-only memory"},
    Requirement{KVM_CAP_IRQCHIP, "interrupt controllers in the kernel"},
    Requirement{KVM_CAP_IRQFD, "interrupts from eventfds"},
    Requirement{KVM_CAP_IOEVENTFD, "doorbells as eventfds"},
    Requirement{KVM_CAP_IMMEDIATE_EXIT, "immediate exit"},
    Requirement{KVM_CAP_MP_STATE, "processor states"},
    Requirement{KVM_CAP_EXT_CPUID, "extended CPUID"},
};

template <typename T>
base::Result<T> get(const base::Fd& fd, unsigned long request, const char* step) {
  T value{};
  if (::ioctl(fd.get(), request, &value) != 0) {
    return kvm_refuses(step);
  }
  return value;
}

template <typename T>
base::Status set(const base::Fd& fd, unsigned long request, const T& value, const char* step) {
  if (::ioctl(fd.get(), request, &value) != 0) {
    return kvm_refuses(step);
  }
  return base::success();
}

}  // namespace

base::Error kvm_refuses(const char* step) {
  return base::errno_error(errno, std::string("KVM refuses ") + step);
}

// ---- Vcpu ----

int Vcpu::enter() noexcept {
  return ::ioctl(fd_.get(), KVM_RUN, 0) == 0 ? 0 : errno;
}

base::Status Vcpu::set_cpuid(const CpuidEntries& entries) {
  if (entries.size() > kMaxCpuidEntries) {
    return base::make_error(PYRO_ERROR_INTERNAL, "a CPUID of {} entries", entries.size());
  }
  const auto list = std::make_unique<CpuidList>();
  list->header.count = static_cast<std::uint32_t>(entries.size());
  std::copy(entries.begin(), entries.end(), list->entries.begin());
  if (::ioctl(fd_.get(), kSetCpuid2, list.get()) != 0) {
    return kvm_refuses("to describe a vCPU");
  }
  return base::success();
}

base::Status Vcpu::set_msrs(std::span<const kvm_msr_entry> entries) {
  if (entries.size() > kMaxMsrEntries) {
    return base::make_error(PYRO_ERROR_INTERNAL, "{} model-specific registers at once", entries.size());
  }
  MsrList list{};
  list.header.count = static_cast<std::uint32_t>(entries.size());
  std::copy(entries.begin(), entries.end(), list.entries.begin());
  // It gives how many it set: fewer means that the next one was refused.
  const int done = ::ioctl(fd_.get(), kSetMsrs, &list);
  if (done < 0) {
    return kvm_refuses("to set model-specific registers");
  }
  if (static_cast<std::size_t>(done) != entries.size()) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "KVM refuses to set model-specific register {:#x}",
                            static_cast<std::uint32_t>(entries[static_cast<std::size_t>(done)].index));
  }
  return base::success();
}

base::Result<kvm_regs> Vcpu::regs() const {
  return get<kvm_regs>(fd_, KVM_GET_REGS, "to tell a vCPU's registers");
}

base::Status Vcpu::set_regs(const kvm_regs& regs) {
  return set(fd_, KVM_SET_REGS, regs, "to set a vCPU's registers");
}

base::Result<kvm_sregs> Vcpu::sregs() const {
  return get<kvm_sregs>(fd_, KVM_GET_SREGS, "to tell a vCPU's system registers");
}

base::Status Vcpu::set_sregs(const kvm_sregs& sregs) {
  return set(fd_, KVM_SET_SREGS, sregs, "to set a vCPU's system registers");
}

base::Result<kvm_mp_state> Vcpu::mp_state() const {
  return get<kvm_mp_state>(fd_, KVM_GET_MP_STATE, "to tell a vCPU's state");
}

base::Result<kvm_lapic_state> Vcpu::lapic() const {
  return get<kvm_lapic_state>(fd_, KVM_GET_LAPIC, "to tell a local APIC's registers");
}

base::Status Vcpu::set_lapic(const kvm_lapic_state& lapic) {
  return set(fd_, KVM_SET_LAPIC, lapic, "to set a local APIC's registers");
}

// ---- Vm ----

base::Status Vm::set_memory(std::uint32_t slot, std::uint64_t gpa, std::uint64_t size_bytes, void* host,
                            bool read_only) {
  kvm_userspace_memory_region region{};
  region.slot = slot;
  region.flags = read_only ? KVM_MEM_READONLY : 0;
  region.guest_phys_addr = gpa;
  region.memory_size = size_bytes;
  region.userspace_addr = reinterpret_cast<std::uintptr_t>(host);
  return set(fd_, KVM_SET_USER_MEMORY_REGION, region, "guest memory");
}

base::Status Vm::set_host_pages(std::uint64_t tss_gpa, std::uint64_t identity_map_gpa) {
  PYRO_TRY(set(fd_, KVM_SET_IDENTITY_MAP_ADDR, identity_map_gpa, "a place for its identity map"));
  if (::ioctl(fd_.get(), KVM_SET_TSS_ADDR, static_cast<unsigned long>(tss_gpa)) != 0) {
    return kvm_refuses("a place for its task state");
  }
  return base::success();
}

base::Status Vm::disable_performance_counters() {
  kvm_enable_cap capability{};
  capability.cap = KVM_CAP_PMU_CAPABILITY;
  capability.args[0] = KVM_PMU_CAP_DISABLE;
  return set(fd_, KVM_ENABLE_CAP, capability, "to take a guest's performance counters away");
}

base::Status Vm::create_interrupt_controller() {
  if (::ioctl(fd_.get(), KVM_CREATE_IRQCHIP, 0) != 0) {
    return kvm_refuses("to create interrupt controllers");
  }
  return base::success();
}

base::Status Vm::connect_interrupt(int eventfd, std::uint32_t gsi) {
  kvm_irqfd irqfd{};
  irqfd.fd = static_cast<std::uint32_t>(eventfd);
  irqfd.gsi = gsi;
  return set(fd_, KVM_IRQFD, irqfd, "to connect an interrupt line");
}

base::Status Vm::connect_doorbell(int eventfd, std::uint64_t gpa, std::uint32_t value) {
  kvm_ioeventfd doorbell{};
  doorbell.datamatch = value;
  doorbell.addr = gpa;
  doorbell.len = sizeof(value);
  doorbell.fd = eventfd;
  doorbell.flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
  return set(fd_, KVM_IOEVENTFD, doorbell, "to connect a doorbell");
}

base::Result<Vcpu> Vm::create_vcpu(std::uint32_t id) {
  base::Fd fd(::ioctl(fd_.get(), KVM_CREATE_VCPU, static_cast<unsigned long>(id)));
  if (!fd.valid()) {
    return kvm_refuses("to create a vCPU");
  }
  PYRO_TRY_ASSIGN(Mapping run, Mapping::map(run_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), "a vCPU's page"));
  return Vcpu(std::move(fd), std::move(run));
}

// ---- Kvm ----

base::Result<Kvm> Kvm::adopt(base::Fd fd) {
  const int version = ::ioctl(fd.get(), KVM_GET_API_VERSION, 0);
  if (version != KVM_API_VERSION) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "/dev/kvm is not a KVM device of version {}", KVM_API_VERSION);
  }
  const int run_bytes = ::ioctl(fd.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (run_bytes < static_cast<int>(sizeof(kvm_run))) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "KVM gives a vCPU page of {} bytes", run_bytes);
  }
  Kvm kvm(std::move(fd), static_cast<std::size_t>(run_bytes));
  for (const Requirement& required : kRequired) {
    if (kvm.extension(required.capability) <= 0) {
      return base::make_error(PYRO_ERROR_UNSUPPORTED, "the KVM of this host lacks {}", required.name);
    }
  }
  return kvm;
}

base::Result<Vm> Kvm::create_vm() {
  // EINTR: a signal came while the kernel made its structures.
  int fd = -1;
  do {
    fd = ::ioctl(fd_.get(), KVM_CREATE_VM, 0);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) {
    return kvm_refuses("to create a VM");
  }
  return Vm(base::Fd(fd), run_bytes_);
}

base::Result<CpuidEntries> Kvm::supported_cpuid() const {
  const auto list = std::make_unique<CpuidList>();
  list->header.count = kMaxCpuidEntries;
  if (::ioctl(fd_.get(), kGetSupportedCpuid, list.get()) != 0) {
    return kvm_refuses("to tell what processors it can offer");
  }
  const std::size_t count = std::min<std::size_t>(list->header.count, kMaxCpuidEntries);
  return CpuidEntries(list->entries.begin(), list->entries.begin() + static_cast<std::ptrdiff_t>(count));
}

int Kvm::extension(unsigned long capability) const noexcept {
  return ::ioctl(fd_.get(), KVM_CHECK_EXTENSION, capability);
}

}  // namespace pyro::vmm
