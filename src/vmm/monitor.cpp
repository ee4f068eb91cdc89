#include "vmm/monitor.hpp"

#include "base/clock.hpp"
#include "devices/virtio/balloon.hpp"
#include "devices/virtio/block.hpp"
#include "devices/virtio/net.hpp"
#include "devices/virtio/pmem.hpp"
#include "devices/virtio/rng.hpp"
#include "vmm/acpi.hpp"
#include "vmm/boot.hpp"
#include "vmm/cpuid.hpp"
#include "vmm/layout.hpp"

#include <algorithm>
#include <array>
#include <future>

#include <sys/mman.h>
#include <sys/stat.h>

namespace pyro::vmm {

namespace {

// How long all vCPUs together may take to leave their handlers, which read and write registers only. The main loop
// waits; one that is not parked in time is busy, or waits for a disk, and so lives.
constexpr std::int64_t kParkTimeoutMs = 500;
// Locally administered; every guest is alone on its link.
constexpr devices::virtio::MacAddress kMacAddress{0x02, 0x70, 0x79, 0x72, 0x6f, 0x01};
// Interrupt flag of RFLAGS.
constexpr std::uint64_t kRflagsInterrupt = 1U << 9;

// Low RAM, and what is more than that above 4 GiB.
std::vector<memory::Range> ram_ranges(std::uint64_t bytes) {
  std::vector<memory::Range> ranges{{0, std::min(bytes, layout::kLowRamEnd)}};
  if (bytes > layout::kLowRamEnd) {
    ranges.push_back({layout::kHighRamStart, bytes - layout::kLowRamEnd});
  }
  return ranges;
}

std::uint64_t root_gpa(std::uint64_t ram_bytes) {
  const memory::Range last = ram_ranges(ram_bytes).back();
  return layout::align_up(std::max(last.gpa + last.size_bytes, layout::kHighRamStart), layout::kGib);
}

// The root image as memory: pages come from the host's page cache, where all guests share them.
base::Result<Mapping> map_root(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= 0 ||
      static_cast<std::uint64_t>(info.st_size) % (2 * layout::kMib) != 0) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "the environment's root image is not a multiple of 2 MiB");
  }
  return Mapping::map(static_cast<std::size_t>(info.st_size), PROT_READ, MAP_SHARED, fd, "the root image");
}

struct LoadedGuest {
  LoadedKernel kernel;
  LoadedInitrd initrd;
};

base::Result<LoadedGuest> load_guest(const MonitorConfig& config, const memory::GuestMemory& memory) {
  LoadedGuest guest;
  PYRO_TRY_ASSIGN(guest.kernel, load_kernel(config.kernel.get(), memory));
  PYRO_TRY_ASSIGN(guest.initrd, load_initrd(config.initrd, memory, guest.kernel.end_gpa));
  return guest;
}

}  // namespace

Monitor::Monitor(Kvm kvm, Vm vm, Mapping root, memory::GuestMemory memory, RunEndReport end, Doorbells doorbells,
                 std::unique_ptr<WorkerThread> block_thread, MonitorConfig config)
    : config_(std::move(config)),
      kvm_(std::move(kvm)),
      root_(std::move(root)),
      memory_(std::move(memory)),
      end_(std::move(end)),
      vm_(std::move(vm)),
      doorbells_(std::move(doorbells)),
      power_ports_(end_),
      virtio_(vm_, memory_, memory_bus_, config_.on_device_fault),
      block_thread_(std::move(block_thread)) {}

Monitor::~Monitor() {
  virtio_.stop();
  // Asked first, so that they end side by side.
  for (const auto& vcpu : vcpus_) {
    vcpu->request_pause();
  }
}

base::Result<std::unique_ptr<Monitor>> Monitor::create(MonitorConfig config) {
  PYRO_TRY_ASSIGN(Kvm kvm, Kvm::adopt(std::move(config.kvm)));
  const std::uint64_t ram_bytes = config.mem_mib * layout::kMib;
  PYRO_TRY_ASSIGN(Mapping root, map_root(config.root.get()));
  config.root.reset();
  const memory::ReadOnlyRegion root_region{root_gpa(ram_bytes), root.size_bytes(),
                                           static_cast<const std::byte*>(root.get())};
  PYRO_TRY_ASSIGN(memory::GuestMemory memory,
                  memory::GuestMemory::create(ram_ranges(ram_bytes), memory::GuestMemory::Backing::anonymous,
                                              std::span(&root_region, 1)));
  // KVM_CREATE_VM sleeps: the kernel starts a thread for the VM and waits for grace periods of RCU. Copying takes about as
  // long, so a thread does it meanwhile. Where none can be made get() does it (libstdc++'s reading of the two flags).
  auto loading =
      std::async(std::launch::async | std::launch::deferred, load_guest, std::cref(config), std::cref(memory));
  auto made = kvm.create_vm();
  auto loaded = loading.get();
  PYRO_TRY_ASSIGN(Vm vm, std::move(made));
  PYRO_TRY_ASSIGN(const LoadedGuest guest, std::move(loaded));
  config.kernel.reset();
  config.initrd.clear();
  PYRO_TRY_ASSIGN(RunEndReport end, RunEndReport::create());
  PYRO_TRY_ASSIGN(Doorbells doorbells, Doorbells::create());
  PYRO_TRY_ASSIGN(auto block_thread, WorkerThread::create());
  std::unique_ptr<Monitor> monitor(new Monitor(std::move(kvm), std::move(vm), std::move(root), std::move(memory),
                                               std::move(end), std::move(doorbells), std::move(block_thread),
                                               std::move(config)));
  // The order is KVM's: interrupt controllers before vCPUs and before what is connected to them.
  PYRO_TRY(monitor->vm_.set_host_pages(layout::kTssGpa, layout::kIdentityMapGpa));
  PYRO_TRY(monitor->vm_.create_interrupt_controller());
  // CPUID says nothing of the four that every AMD processor has. Before 5.18 they cannot be taken away.
  if ((monitor->kvm_.extension(KVM_CAP_PMU_CAPABILITY) & KVM_PMU_CAP_DISABLE) != 0) {
    PYRO_TRY(monitor->vm_.disable_performance_counters());
  }
  PYRO_TRY(monitor->add_memory());
  PYRO_TRY(monitor->add_serial());
  PYRO_TRY(monitor->add_devices());
  PYRO_TRY_ASSIGN(const auto tables, make_acpi_tables(monitor->config_.vcpu_count, monitor->virtio_.slots()));
  PYRO_TRY(write_boot_data(monitor->memory_, guest.kernel, guest.initrd, monitor->config_.command_line, tables));
  PYRO_TRY(monitor->add_vcpus(guest.kernel.entry_gpa));
  return monitor;
}

base::Status Monitor::add_memory() {
  std::uint32_t slot = 0;
  for (const memory::Region& region : memory_.regions()) {
    PYRO_TRY(vm_.set_memory(slot++, region.gpa, region.size_bytes, region.host, false));
  }
  return vm_.set_memory(slot, root_gpa(memory_.size_bytes()), root_.size_bytes(), root_.get(), true);
}

base::Status Monitor::add_serial() {
  PYRO_TRY_ASSIGN(base::Fd interrupt, make_eventfd());
  serial_irq_.emplace(std::move(interrupt));
  PYRO_TRY(vm_.connect_interrupt(serial_irq_->fd(), layout::kSerialGsi));
  serial_.emplace(*serial_irq_, config_.on_serial);
  PYRO_TRY(port_bus_.add(layout::kSerialPort, devices::kSerialPorts, *serial_, "serial"));
  PYRO_TRY(port_bus_.add(layout::kSleepControlPort, layout::kResetPort + 1 - layout::kSleepControlPort, power_ports_,
                         "power"));
  return doorbells_.add(end_.fd(), [] {});
}

// Every guest has all of them, whatever it uses: so any guest can continue from any template.
base::Status Monitor::add_devices() {
  using namespace devices::virtio;
  auto console = std::make_unique<Console>("pyro.agent", std::move(config_.agent));
  console_ = console.get();
  PYRO_TRY(virtio_.add("console", std::move(console), doorbells_));
  console_->set_connected(true);
  PYRO_TRY(
      virtio_.add("block", std::make_unique<Block>(std::move(config_.scratch), "scratch"), block_thread_->doorbells()));
  PYRO_TRY(virtio_.add(
      "pmem", std::make_unique<Pmem>(memory::Range{root_gpa(memory_.size_bytes()), root_.size_bytes()}), doorbells_));
  PYRO_TRY(virtio_.add("rng", std::make_unique<Rng>(), doorbells_));
  PYRO_TRY(virtio_.add("balloon", std::make_unique<Balloon>(memory_), doorbells_));
  return virtio_.add("net", std::make_unique<Net>(kMacAddress), doorbells_);
}

base::Status Monitor::add_vcpus(std::uint64_t entry_gpa) {
  PYRO_TRY_ASSIGN(const CpuidEntries supported, kvm_.supported_cpuid());
  const bool tsc_deadline = kvm_.extension(KVM_CAP_TSC_DEADLINE_TIMER) > 0;
  for (std::uint32_t id = 0; id < config_.vcpu_count; ++id) {
    PYRO_TRY_ASSIGN(Vcpu vcpu, vm_.create_vcpu(id));
    PYRO_TRY(vcpu.set_cpuid(guest_cpuid(supported, id, config_.vcpu_count, tsc_deadline)));
    PYRO_TRY(set_boot_registers(vcpu, id, entry_gpa));
    vcpus_.push_back(
        std::make_unique<VcpuThread>(id, std::move(vcpu), VcpuThread::World{memory_bus_, port_bus_, end_}));
  }
  return base::success();
}

base::Status Monitor::start() {
  const auto enter = [this](ThreadKind kind) {
    return [this, kind] {
      const base::Status entered = config_.enter_thread ? config_.enter_thread(kind) : base::success();
      if (!entered.ok()) {
        end_.report({RunEnd::Kind::failed, entered.error().message});
      }
      return entered.ok();
    };
  };
  PYRO_TRY(install_kick_handler());
  PYRO_TRY(block_thread_->start(enter(ThreadKind::block), [this](const char* why) {
    end_.report({RunEnd::Kind::failed, fmt::format("the thread for disks failed: {}", why)});
  }));
  for (const auto& vcpu : vcpus_) {
    PYRO_TRY(vcpu->start(enter(ThreadKind::vcpu)));
  }
  return base::success();
}

std::int64_t Monitor::cpu_time_ms() const noexcept {
  std::int64_t total_ms = 0;
  for (const auto& vcpu : vcpus_) {
    total_ms += vcpu->cpu_time_ms();
  }
  return total_ms;
}

bool Monitor::pause() {
  for (const auto& vcpu : vcpus_) {
    vcpu->request_pause();
  }
  const std::int64_t deadline_ms = base::monotonic_ms() + kParkTimeoutMs;
  const bool parked = std::all_of(vcpus_.begin(), vcpus_.end(), [deadline_ms](const auto& vcpu) {
    return vcpu->wait_parked(std::max<std::int64_t>(deadline_ms - base::monotonic_ms(), 0));
  });
  if (!parked) {
    resume();
  }
  return parked;
}

void Monitor::resume() noexcept {
  for (const auto& vcpu : vcpus_) {
    vcpu->resume();
  }
}

base::Result<bool> Monitor::is_halted_forever() {
  if (!pause()) {
    return false;
  }
  bool halted = true;
  base::Status status = base::success();
  for (const auto& thread : vcpus_) {
    const auto state = thread->vcpu().mp_state();
    const auto regs = thread->vcpu().regs();
    if (!state.ok() || !regs.ok()) {
      status = state.ok() ? base::Status(regs.error()) : base::Status(state.error());
      break;
    }
    // One that was never started, or waits for a start-up message, is as good as halted.
    const bool sleeps = state->mp_state != KVM_MP_STATE_RUNNABLE;
    const bool deaf = state->mp_state != KVM_MP_STATE_HALTED || (regs->rflags & kRflagsInterrupt) == 0;
    halted = halted && sleeps && deaf;
  }
  resume();
  PYRO_TRY(status);
  return halted;
}

ExitCounts Monitor::exits() const {
  ExitCounts counts;
  for (const auto& vcpu : vcpus_) {
    counts.total += vcpu->exits();
  }
  for (const devices::Bus* bus : {&port_bus_, &memory_bus_}) {
    const auto devices = bus->counts();
    counts.devices.insert(counts.devices.end(), devices.begin(), devices.end());
  }
  return counts;
}

}  // namespace pyro::vmm
