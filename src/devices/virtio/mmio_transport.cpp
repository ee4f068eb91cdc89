#include "devices/virtio/mmio_transport.hpp"

#include "base/clock.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace pyro::devices::virtio {

namespace {

// 4.2.2 MMIO device register layout.
constexpr std::uint64_t kMagicValue = 0x000;
constexpr std::uint64_t kVersion = 0x004;
constexpr std::uint64_t kDeviceId = 0x008;
constexpr std::uint64_t kVendorId = 0x00c;
constexpr std::uint64_t kDeviceFeatures = 0x010;
constexpr std::uint64_t kDeviceFeaturesSel = 0x014;
constexpr std::uint64_t kDriverFeatures = 0x020;
constexpr std::uint64_t kDriverFeaturesSel = 0x024;
constexpr std::uint64_t kQueueSel = 0x030;
constexpr std::uint64_t kQueueNumMax = 0x034;
constexpr std::uint64_t kQueueNum = 0x038;
constexpr std::uint64_t kQueueReady = 0x044;
constexpr std::uint64_t kInterruptStatus = 0x060;
constexpr std::uint64_t kInterruptAck = 0x064;
constexpr std::uint64_t kStatus = 0x070;
constexpr std::uint64_t kQueueDescLow = 0x080;
constexpr std::uint64_t kQueueDescHigh = 0x084;
constexpr std::uint64_t kQueueDriverLow = 0x090;
constexpr std::uint64_t kQueueDriverHigh = 0x094;
constexpr std::uint64_t kQueueDeviceLow = 0x0a0;
constexpr std::uint64_t kQueueDeviceHigh = 0x0a4;
constexpr std::uint64_t kShmLenLow = 0x0b0;
constexpr std::uint64_t kShmBaseHigh = 0x0bc;
constexpr std::uint64_t kConfigGeneration = 0x0fc;
constexpr std::uint64_t kConfigOffset = 0x100;

constexpr std::uint32_t kMagic = 0x74726976;  // "virt"
constexpr std::uint32_t kModernVersion = 2;
constexpr std::uint32_t kVendor = 0x4f525950;        // "PYRO"
constexpr std::uint32_t kUsedBufferInterrupt = 1;    // InterruptStatus bit 0
constexpr std::uint32_t kConfigChangeInterrupt = 2;  // bit 1

// What a driver may set; it never sets DEVICE_NEEDS_RESET.
constexpr std::uint32_t kDriverStatusBits = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK |
                                            VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_FAILED;

void set_half(std::uint64_t& value, bool high, std::uint32_t half) noexcept {
  value = high ? (value & 0xffffffff) | std::uint64_t{half} << 32 : (value & ~std::uint64_t{0xffffffff}) | half;
}

}  // namespace

MmioTransport::MmioTransport(const memory::GuestMemory& memory, IrqLine& irq, std::unique_ptr<Device> device,
                             Callbacks callbacks)
    : memory_(memory), irq_(irq), device_(std::move(device)), callbacks_(std::move(callbacks)) {
  for (const std::uint16_t size : device_->queue_sizes().first(std::min(device_->queue_sizes().size(), kMaxQueues))) {
    setups_.push_back({.max_size = size, .ready = false, .layout = {}});
  }
  queues_.resize(setups_.size());
  device_->attach(*this);
}

MmioTransport::~MmioTransport() = default;

std::uint64_t MmioTransport::offered_features() const noexcept {
  return device_->features() | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;
}

// ---- registers

void MmioTransport::read(std::uint64_t offset, std::span<std::byte> data) noexcept {
  std::fill(data.begin(), data.end(), std::byte{0});
  if (offset >= kConfigOffset) {
    device_->read_config(offset - kConfigOffset, data);
  } else if (data.size() == 4 && offset % 4 == 0) {
    // 4.2.2.2: registers are read and written by 32 bits, aligned. Anything else reads as zero.
    const std::uint32_t value = read_register(offset);
    std::memcpy(data.data(), &value, sizeof(value));
  }
}

void MmioTransport::write(std::uint64_t offset, base::ByteView data) noexcept {
  if (offset >= kConfigOffset) {
    device_->write_config(offset - kConfigOffset, data);
  } else if (data.size() == 4 && offset % 4 == 0) {
    std::uint32_t value = 0;
    std::memcpy(&value, data.data(), sizeof(value));
    write_register(offset, value);
  }
}

std::uint32_t MmioTransport::read_register(std::uint64_t offset) noexcept {
  switch (offset) {
    case kMagicValue:
      return kMagic;
    case kVersion:
      return kModernVersion;
    case kDeviceId:
      return device_->device_id();
    case kVendorId:
      return kVendor;
    case kInterruptStatus:  // read in every interrupt
      return interrupt_status_.load();
    case kConfigGeneration:
      return config_generation_.load();
    default:
      break;
  }
  if (offset >= kShmLenLow && offset <= kShmBaseHigh) {
    return 0xffffffff;  // no shared memory region has this id
  }
  const std::scoped_lock lock(mutex_);
  const QueueSetup* setup = queue_sel_ < setups_.size() ? &setups_[queue_sel_] : nullptr;
  switch (offset) {
    case kDeviceFeatures:
      return device_features_sel_ < 2 ? static_cast<std::uint32_t>(offered_features() >> (32 * device_features_sel_))
                                      : 0;
    case kQueueNumMax:
      return setup != nullptr ? setup->max_size : 0;
    case kQueueReady:
      return setup != nullptr && setup->ready ? 1 : 0;
    case kStatus:
      return status_;
    default:
      return 0;
  }
}

void MmioTransport::write_register(std::uint64_t offset, std::uint32_t value) noexcept {
  switch (offset) {
    case kQueueNotifyOffset:
      if (value >= setups_.size()) {
        return;
      }
      if (callbacks_.kick) {
        return callbacks_.kick(static_cast<std::uint16_t>(value));
      }
      return notify(static_cast<std::uint16_t>(value));
    case kInterruptAck:
      interrupt_status_.fetch_and(~value);
      return;
    case kStatus:
      return write_status(value);
    default:
      break;
  }
  const std::scoped_lock lock(mutex_);
  switch (offset) {
    case kDeviceFeaturesSel:
      device_features_sel_ = value;
      return;
    case kDriverFeaturesSel:
      driver_features_sel_ = value;
      return;
    case kDriverFeatures:
      // 3.1.1: not after FEATURES_OK.
      if (driver_features_sel_ < 2 && (status_ & VIRTIO_STATUS_FEATURES_OK) == 0) {
        set_half(driver_features_, driver_features_sel_ == 1, value);
      }
      return;
    case kQueueSel:
      queue_sel_ = value;
      return;
    default:
      return write_queue_register(offset, value);
  }
}

void MmioTransport::write_queue_register(std::uint64_t offset, std::uint32_t value) noexcept {
  // Queues are set up before DRIVER_OK (3.1.1), and a queue does not move while it is ready (4.2.2.2).
  if (queue_sel_ >= setups_.size() || (status_ & VIRTIO_STATUS_DRIVER_OK) != 0) {
    return;
  }
  QueueSetup& setup = setups_[queue_sel_];
  if (offset == kQueueReady) {
    setup.ready = value == 1;
    return;
  }
  if (setup.ready) {
    return;
  }
  switch (offset) {
    case kQueueNum:
      setup.layout.size = value <= setup.max_size ? static_cast<std::uint16_t>(value) : 0;
      return;
    case kQueueDescLow:
    case kQueueDescHigh:
      return set_half(setup.layout.desc_gpa, offset == kQueueDescHigh, value);
    case kQueueDriverLow:
    case kQueueDriverHigh:
      return set_half(setup.layout.avail_gpa, offset == kQueueDriverHigh, value);
    case kQueueDeviceLow:
    case kQueueDeviceHigh:
      return set_half(setup.layout.used_gpa, offset == kQueueDeviceHigh, value);
    default:
      return;
  }
}

// ---- the life of a device (2.1, 3.1)

void MmioTransport::write_status(std::uint32_t value) noexcept {
  if (value == 0) {
    return reset();
  }
  const Work work(*this);
  const std::uint32_t added = accept_status(value);
  if ((added & VIRTIO_STATUS_FAILED) != 0) {
    live_ = false;
  } else if ((added & VIRTIO_STATUS_DRIVER_OK) != 0) {
    activate();
  }
}

// Takes the bits that may be set now, and gives those that are new.
std::uint32_t MmioTransport::accept_status(std::uint32_t wanted) noexcept {
  const std::scoped_lock lock(mutex_);
  const std::uint32_t held = status_ & kDriverStatusBits;
  std::uint32_t added = wanted & kDriverStatusBits & ~held;
  if ((wanted & held) != held) {
    return 0;  // 2.1.1: a driver clears no bit
  }
  const bool acceptable = (driver_features_ & VIRTIO_F_VERSION_1) != 0 && (driver_features_ & ~offered_features()) == 0;
  if (((held | added) & VIRTIO_STATUS_DRIVER) == 0 || !acceptable) {
    added &= ~VIRTIO_STATUS_FEATURES_OK;
  }
  if (((held | added) & VIRTIO_STATUS_FEATURES_OK) == 0) {
    added &= ~VIRTIO_STATUS_DRIVER_OK;
  }
  status_ |= added;
  return (status_ & VIRTIO_STATUS_DEVICE_NEEDS_RESET) == 0 ? added : 0;
}

void MmioTransport::activate() noexcept {
  for (std::size_t i = 0; i < setups_.size(); ++i) {
    if (!setups_[i].ready) {
      continue;
    }
    auto queue = Queue::create(memory_, setups_[i].layout, driver_features_);
    if (!queue.ok()) {
      return fail(fmt::format("queue {}: {}", i, queue.error().message));
    }
    queues_[i].emplace(*queue);
  }
  live_ = true;
  device_->activate();
}

void MmioTransport::reset() noexcept {
  stopping_.fetch_add(1);
  const Work work(*this);
  stopping_.fetch_sub(1);
  forget_driver();
}

void MmioTransport::forget_driver() noexcept {
  live_ = false;
  device_->reset();
  std::fill(queues_.begin(), queues_.end(), std::nullopt);
  const std::scoped_lock lock(mutex_);
  status_ = 0;
  device_features_sel_ = 0;
  driver_features_sel_ = 0;
  queue_sel_ = 0;
  driver_features_ = 0;
  pending_ = 0;
  for (QueueSetup& setup : setups_) {
    setup.ready = false;
    setup.layout = {};
  }
  interrupt_status_.store(0);
}

void MmioTransport::fail(std::string_view why) noexcept {
  live_ = false;
  {
    const std::scoped_lock lock(mutex_);
    status_ |= VIRTIO_STATUS_DEVICE_NEEDS_RESET;
  }
  config_changed();
  if (!fault_reported_.exchange(true) && callbacks_.on_fault) {
    callbacks_.on_fault(why);
  }
}

// ---- work

void MmioTransport::begin_work() noexcept {
  std::unique_lock lock(mutex_);
  const auto self = std::this_thread::get_id();
  if (worker_ != self) {
    idle_.wait(lock, [this] { return worker_ == std::thread::id(); });
    worker_ = self;
  }
  ++depth_;
}

void MmioTransport::end_work() noexcept {
  std::unique_lock lock(mutex_);
  if (depth_ > 1) {
    --depth_;
    return;
  }
  if (!callbacks_.kick) {
    return finish_work(lock);
  }
  lock.unlock();
  settle();
  lock.lock();
  // What rang meanwhile is the worker's to serve. A reset that waits forgets it.
  std::uint32_t rang = stopping_.load() == 0 ? std::exchange(pending_, 0) : 0;
  release_work();
  lock.unlock();
  for (; rang != 0; rang &= rang - 1) {
    callbacks_.kick(static_cast<std::uint16_t>(std::countr_zero(rang)));
  }
}

void MmioTransport::notify(std::uint16_t index) noexcept {
  std::unique_lock lock(mutex_);
  if (index >= setups_.size()) {
    return;
  }
  pending_ |= 1U << index;
  if (worker_ == std::thread::id()) {
    worker_ = std::this_thread::get_id();
    depth_ = 1;
    finish_work(lock);
  }
}

// Serves what rang, then lets others in. A reset that waits gets its turn before the next queue.
void MmioTransport::finish_work(std::unique_lock<std::mutex>& lock) noexcept {
  while (true) {
    lock.unlock();
    settle();
    lock.lock();
    if (pending_ == 0 || stopping_.load() != 0) {
      break;
    }
    const int index = std::countr_zero(pending_);
    pending_ &= ~(1U << index);
    lock.unlock();
    serve(static_cast<std::uint16_t>(index));
    lock.lock();
  }
  release_work();
}

void MmioTransport::release_work() noexcept {
  worker_ = std::thread::id();
  depth_ = 0;
  idle_.notify_all();
}

void MmioTransport::serve(std::uint16_t index) noexcept {
  if (queue(index) == nullptr) {
    return;
  }
  turn_left_ = kChainsPerTurn;
  turn_end_ns_ = base::monotonic_ns() + kTurnNs;
  turn_over_ = false;
  device_->process_queue(index);
  if (turn_over_ && stopping_.load() == 0) {
    callbacks_.kick(index);
  }
}

bool MmioTransport::may_continue() noexcept {
  if (stopping_.load() != 0) {
    return false;
  }
  if (!callbacks_.kick) {
    return true;
  }
  if (turn_left_ == 0 || (turn_left_ < kChainsPerTurn && base::monotonic_ns() > turn_end_ns_)) {
    turn_over_ = true;
    return false;
  }
  --turn_left_;
  return true;
}

// What the driver is to know after a piece of work: chains that came back, or that it broke a queue.
void MmioTransport::settle() noexcept {
  bool used = false;
  for (std::size_t i = 0; live_ && i < queues_.size(); ++i) {
    if (!queues_[i]) {
      continue;
    }
    if (queues_[i]->broken() != nullptr) {
      return fail(fmt::format("queue {}: {}", i, queues_[i]->broken()));
    }
    used |= queues_[i]->take_interrupt();
  }
  if (used) {
    raise(kUsedBufferInterrupt);
  }
}

Queue* MmioTransport::queue(std::uint16_t index) noexcept {
  return live_ && index < queues_.size() && queues_[index] ? &*queues_[index] : nullptr;
}

void MmioTransport::interrupt(Queue& queue) noexcept {
  if (queue.take_interrupt()) {
    raise(kUsedBufferInterrupt);
  }
}

std::uint64_t MmioTransport::driver_features() const noexcept {
  return driver_features_;
}

void MmioTransport::config_changed() noexcept {
  config_generation_.fetch_add(1);
  {
    const std::scoped_lock lock(mutex_);
    if ((status_ & VIRTIO_STATUS_DRIVER_OK) == 0) {
      return;
    }
  }
  raise(kConfigChangeInterrupt);
}

void MmioTransport::raise(std::uint32_t cause) noexcept {
  interrupt_status_.fetch_or(cause);
  irq_.raise();
}

void MmioTransport::kick_all() noexcept {
  bool live = false;
  {
    const Work work(*this);
    live = live_;
  }
  if (!live) {
    return;
  }
  for (std::uint16_t i = 0; i < queue_count(); ++i) {
    if (callbacks_.kick) {
      callbacks_.kick(i);
    } else {
      notify(i);
    }
  }
  raise(kUsedBufferInterrupt);
}

}  // namespace pyro::devices::virtio
