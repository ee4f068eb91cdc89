// Monitor: a guest on KVM. Owns its memory, vCPUs, devices and threads; runs it until it ends by itself or
// is destroyed.
//
// Threads: one per vCPU, one for block I/O; everything else happens on the thread that owns this (the main
// loop), in service(), whenever fd() is readable. vCPUs leave the kernel for register accesses only; data
// moves by doorbells (virtio_set.hpp).
// Thread rule: one thread, the main loop's; MonitorConfig says where callbacks run.
#pragma once

#include "devices/block_backend.hpp"
#include "devices/bus.hpp"
#include "devices/serial.hpp"
#include "devices/virtio/console.hpp"
#include "memory/guest_memory.hpp"
#include "vmm/doorbells.hpp"
#include "vmm/kernel_image.hpp"
#include "vmm/kvm.hpp"
#include "vmm/power_ports.hpp"
#include "vmm/run_end.hpp"
#include "vmm/vcpu_thread.hpp"
#include "vmm/virtio_set.hpp"
#include "vmm/worker_thread.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pyro::vmm {

enum class ThreadKind { vcpu, block };

/// How often the guest was left for this process (KVM answers most of what a guest does without it).
struct ExitCounts {
  std::uint64_t total = 0;
  /// Ports first, then memory-mapped registers.
  std::vector<devices::AccessCount> devices;
};

struct MonitorConfig {
  /// An open /dev/kvm.
  base::Fd kvm;
  std::uint32_t vcpu_count = 1;
  std::uint32_t mem_mib = 0;
  base::Fd kernel;
  std::vector<InitrdPart> initrd;
  std::string command_line;
  /// The read-only root image, a multiple of 2 MiB, which all guests of this host share.
  base::Fd root;
  /// What is behind the scratch disk.
  std::unique_ptr<devices::BlockBackend> scratch;

  /// The guest's serial output. On vCPU threads.
  std::function<void(base::ByteView)> on_serial;
  /// The host's end of the agent's port. Main loop.
  devices::virtio::ConsoleHost agent;
  /// The guest broke one of its devices, in words; once per device. Any thread of the monitor.
  std::function<void(std::string_view)> on_device_fault;
  /// The first thing that each thread does: confines itself. One that cannot ends the guest.
  std::function<base::Status(ThreadKind)> enter_thread;
};

class Monitor {
 public:
  /// Builds the machine and loads the guest; nothing runs yet.
  static base::Result<std::unique_ptr<Monitor>> create(MonitorConfig config);
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;
  /// Stops every thread, then frees everything.
  ~Monitor();

  base::Status start();
  /// Readable when service() has something to do.
  [[nodiscard]] int fd() const noexcept { return doorbells_.fd(); }
  void service() { doorbells_.service(0); }
  /// Why the guest stopped, once it has. fd() becomes readable when it does.
  [[nodiscard]] std::optional<RunEnd> ended() const { return end_.get(); }

  [[nodiscard]] devices::virtio::Console& agent_console() noexcept { return *console_; }
  /// CPU time of all vCPUs.
  [[nodiscard]] std::int64_t cpu_time_ms() const noexcept;

  /// Parks all vCPUs, wherever they are. False if one is stuck in a handler; then all run on.
  bool pause();
  void resume() noexcept;
  /// Whether every vCPU is halted with interrupts off, so that none will ever run again. Pauses for that.
  base::Result<bool> is_halted_forever();
  /// So far, all vCPUs together.
  [[nodiscard]] ExitCounts exits() const;

 private:
  Monitor(Kvm kvm, Vm vm, Mapping root, memory::GuestMemory memory, RunEndReport end, Doorbells doorbells,
          std::unique_ptr<WorkerThread> block_thread, MonitorConfig config);

  base::Status add_memory();
  base::Status add_devices();
  base::Status add_serial();
  base::Status add_vcpus(std::uint64_t entry_gpa);

  MonitorConfig config_;
  // In the order of use: destroyed from the last, the vCPUs, to the first.
  Kvm kvm_;
  Mapping root_;
  memory::GuestMemory memory_;
  RunEndReport end_;
  Vm vm_;
  Doorbells doorbells_;
  devices::Bus memory_bus_;
  devices::Bus port_bus_;
  PowerPorts power_ports_;
  std::optional<EventfdIrqLine> serial_irq_;
  std::optional<devices::Serial> serial_;
  devices::virtio::Console* console_ = nullptr;
  VirtioSet virtio_;
  std::unique_ptr<WorkerThread> block_thread_;
  std::vector<std::unique_ptr<VcpuThread>> vcpus_;
};

}  // namespace pyro::vmm
