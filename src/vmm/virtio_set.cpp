#include "vmm/virtio_set.hpp"

#include "vmm/layout.hpp"

namespace pyro::vmm {

static_assert(devices::virtio::kMmioTransportBytes <= layout::kVirtioMmioStride);

base::Status VirtioSet::add(std::string_view name, std::unique_ptr<devices::virtio::Device> device, Doorbells& worker) {
  if (attached_.size() >= layout::kMaxVirtioDevices) {
    return base::make_error(PYRO_ERROR_INTERNAL, "more than {} virtio devices", layout::kMaxVirtioDevices);
  }
  const auto number = static_cast<std::uint32_t>(attached_.size());
  const VirtioSlot slot{layout::kVirtioMmioGpa + number * layout::kVirtioMmioStride, layout::kFirstVirtioGsi + number};

  PYRO_TRY_ASSIGN(base::Fd interrupt, make_eventfd());
  attached_.push_back(std::make_unique<Attached>(std::move(interrupt)));
  Attached& attached = *attached_.back();
  PYRO_TRY(vm_.connect_interrupt(attached.irq.fd(), slot.gsi));

  const std::size_t queues = device->queue_sizes().size();
  for (std::size_t i = 0; i < queues; ++i) {
    PYRO_TRY_ASSIGN(base::Fd doorbell, make_eventfd());
    PYRO_TRY(vm_.connect_doorbell(doorbell.get(), slot.gpa + devices::virtio::kQueueNotifyOffset,
                                  static_cast<std::uint32_t>(i)));
    attached.doorbells.push_back(std::move(doorbell));
  }
  const auto kick = [&attached](std::uint16_t queue) { signal_eventfd(attached.doorbells[queue].get()); };
  attached.transport = std::make_unique<devices::virtio::MmioTransport>(
      memory_, attached.irq, std::move(device), devices::virtio::MmioTransport::Callbacks{kick, on_fault_});
  for (std::size_t i = 0; i < queues; ++i) {
    PYRO_TRY(worker.add(attached.doorbells[i].get(), [transport = attached.transport.get(), i] {
      transport->notify(static_cast<std::uint16_t>(i));
    }));
  }
  PYRO_TRY(memory_bus_.add(slot.gpa, devices::virtio::kMmioTransportBytes, *attached.transport, name));
  slots_.push_back(slot);
  return base::success();
}

void VirtioSet::stop() noexcept {
  for (const auto& attached : attached_) {
    if (attached->transport) {
      attached->transport->stop();
    }
  }
}

}  // namespace pyro::vmm
