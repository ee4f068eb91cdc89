// Saving and restoring a transport. What is restored may come from anywhere: it is held against what a driver could
// have brought about, and nothing is believed that is not.
#include "devices/virtio/mmio_transport.hpp"

namespace pyro::devices::virtio {

namespace {

constexpr std::uint32_t kStatusBits = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK |
                                      VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DEVICE_NEEDS_RESET |
                                      VIRTIO_STATUS_FAILED;
constexpr std::uint32_t kInterruptBits = 3;  // 4.2.2, InterruptStatus

base::Error refused(const char* what) {
  return base::make_error(PYRO_ERROR_INVALID, "the saved state of a virtio device has {}", what);
}

}  // namespace

base::Bytes MmioTransport::save() {
  const Work work(*this);
  base::ByteWriter out;
  {
    const std::scoped_lock lock(mutex_);
    out.u32(device_->device_id());
    out.u32(status_);
    out.u32(interrupt_status_.load());
    out.u32(config_generation_.load());
    out.u32(device_features_sel_);
    out.u32(driver_features_sel_);
    out.u32(queue_sel_);
    out.u64(driver_features_);
    out.u32(static_cast<std::uint32_t>(setups_.size()));
    for (std::size_t i = 0; i < setups_.size(); ++i) {
      const QueueLayout& layout = setups_[i].layout;
      // Of a device that its driver has broken or given up, the queues are not restored: how far they were is gone.
      const QueuePosition position = live_ && queues_[i] ? queues_[i]->position() : QueuePosition();
      out.u8(setups_[i].ready ? 1 : 0);
      out.u16(layout.size);
      out.u64(layout.desc_gpa);
      out.u64(layout.avail_gpa);
      out.u64(layout.used_gpa);
      out.u16(position.next_avail);
      out.u16(position.next_used);
      out.u16(position.signalled_used);
    }
  }
  device_->save(out);
  return std::move(out).take();
}

base::Status MmioTransport::restore(base::ByteView saved) {
  const Work work(*this);
  forget_driver();
  base::ByteReader in(saved);
  base::Status status = restore_checked(in);
  if (status.ok() && !in.finished()) {
    status = refused("the wrong length");
  }
  if (!status.ok()) {
    forget_driver();
  }
  return status;
}

base::Status MmioTransport::restore_checked(base::ByteReader& in) {
  std::vector<QueuePosition> positions(setups_.size());
  {
    const std::scoped_lock lock(mutex_);
    if (in.u32() != device_->device_id()) {
      return refused("another kind of device");
    }
    status_ = in.u32();
    const std::uint32_t interrupts = in.u32();
    interrupt_status_.store(interrupts & kInterruptBits);
    config_generation_.store(in.u32());
    device_features_sel_ = in.u32();
    driver_features_sel_ = in.u32();
    queue_sel_ = in.u32();
    driver_features_ = in.u64();
    if (in.u32() != setups_.size()) {
      return refused("another number of queues");
    }
    for (std::size_t i = 0; i < setups_.size(); ++i) {
      QueueSetup& setup = setups_[i];
      const std::uint8_t ready = in.u8();
      setup.ready = ready == 1;
      setup.layout = {in.u16(), in.u64(), in.u64(), in.u64()};
      positions[i] = {in.u16(), in.u16(), in.u16()};
      if (ready > 1 || setup.layout.size > setup.max_size) {
        return refused("a queue that cannot be");
      }
    }
    const bool features_ok = (status_ & VIRTIO_STATUS_FEATURES_OK) != 0;
    const bool acceptable =
        (driver_features_ & VIRTIO_F_VERSION_1) != 0 && (driver_features_ & ~offered_features()) == 0;
    if (in.failed() || (status_ & ~kStatusBits) != 0 || (interrupts & ~kInterruptBits) != 0 ||
        (features_ok && !acceptable) || ((status_ & VIRTIO_STATUS_DRIVER_OK) != 0 && !features_ok)) {
      return refused("registers that cannot be");
    }
    if ((status_ & VIRTIO_STATUS_DRIVER_OK) != 0 &&
        (status_ & (VIRTIO_STATUS_DEVICE_NEEDS_RESET | VIRTIO_STATUS_FAILED)) == 0) {
      for (std::size_t i = 0; i < setups_.size(); ++i) {
        if (setups_[i].ready) {
          PYRO_TRY_ASSIGN(const Queue queue, Queue::create(memory_, setups_[i].layout, driver_features_, positions[i]));
          queues_[i].emplace(queue);
        }
      }
      live_ = true;
    }
  }
  return device_->restore(in);
}

}  // namespace pyro::devices::virtio
