// The virtio devices of one guest: each behind an MMIO transport, with its interrupt line and its queues'
// doorbells connected to KVM. This is where a doorbell goes:
//
//   guest writes QueueNotify ─▶ KVM signals the queue's eventfd ─▶ the worker's Doorbells::service()
//     ─▶ MmioTransport::notify(queue) ─▶ Device::process_queue(queue) ─▶ IrqLine ─▶ irqfd ─▶ guest
//
// Thread rule: add() before the guest runs.
#pragma once

#include "devices/bus.hpp"
#include "devices/virtio/mmio_transport.hpp"
#include "vmm/acpi.hpp"
#include "vmm/doorbells.hpp"
#include "vmm/eventfd.hpp"
#include "vmm/kvm.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace pyro::vmm {

class VirtioSet {
 public:
  using FaultHandler = std::function<void(std::string_view why)>;

  VirtioSet(Vm& vm, const memory::GuestMemory& memory, devices::Bus& memory_bus, FaultHandler on_fault)
      : vm_(vm), memory_(memory), memory_bus_(memory_bus), on_fault_(std::move(on_fault)) {}

  /// Gives the guest a device, `name` in statistics (a literal); `worker` serves its doorbells. Devices get addresses
  /// and interrupts in order.
  base::Status add(std::string_view name, std::unique_ptr<devices::virtio::Device> device, Doorbells& worker);
  /// For good: every device ends with the request that it is at.
  void stop() noexcept;
  /// Where they are, for the ACPI tables.
  [[nodiscard]] const std::vector<VirtioSlot>& slots() const noexcept { return slots_; }

 private:
  struct Attached {
    explicit Attached(base::Fd interrupt) noexcept : irq(std::move(interrupt)) {}
    EventfdIrqLine irq;
    std::vector<base::Fd> doorbells;
    std::unique_ptr<devices::virtio::MmioTransport> transport;
  };

  Vm& vm_;
  const memory::GuestMemory& memory_;
  devices::Bus& memory_bus_;
  FaultHandler on_fault_;
  std::vector<std::unique_ptr<Attached>> attached_;
  std::vector<VirtioSlot> slots_;
};

}  // namespace pyro::vmm
