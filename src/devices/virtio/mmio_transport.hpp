// virtio over MMIO, version 2 registers (virtio 1.2, 4.2.2): a device's registers, its state machine, its queues, and
// the rule of who may work for it when.
//
// A driver that breaks the rules loses the device: status DEVICE_NEEDS_RESET, a configuration interrupt, and one call
// of `on_fault` in the device's life, so that a guest cannot flood a log. It may reset the device and start again.
//
// Thread rule: read and write from any vCPU thread; notify from the device's worker; begin_work and end_work from any
// thread; save and restore while no vCPU runs. Constructed and destroyed by one thread while no other uses it.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "devices/irq_line.hpp"
#include "devices/mmio_device.hpp"
#include "devices/virtio/device.hpp"
#include "devices/virtio/queue.hpp"
#include "devices/virtio/transport.hpp"
#include "memory/guest_memory.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

namespace pyro::devices::virtio {

/// The range that a transport takes on the bus: registers and 256 bytes and more of configuration.
inline constexpr std::uint64_t kMmioTransportBytes = 0x1000;
/// Where the driver rings (4.2.2, QueueNotify): a 32-bit write of the queue's number. Place of the ioeventfds.
inline constexpr std::uint64_t kQueueNotifyOffset = 0x50;
/// Chains that one call of notify() serves for a queue, if there is a `kick` to go on with: a guest that never stops
/// sending must not keep a worker from its other devices.
inline constexpr std::uint32_t kChainsPerTurn = 256;
/// Time after which no further chain is begun in the same call: what a chain costs is the guest's choice.
inline constexpr std::int64_t kTurnNs = 2'000'000;
/// Queues of a device: those of the console are the most, 6.
inline constexpr std::size_t kMaxQueues = 16;

class MmioTransport final : public MmioDevice, public Transport {
 public:
  struct Callbacks {
    /// Makes the device's worker call notify(index) soon; any thread, never blocks. The natural one writes the
    /// doorbell's eventfd. Without it the thread that rings does the work itself, to its end.
    std::function<void(std::uint16_t index)> kick;
    /// The driver broke the device: why, in words. At most one call per transport, from whichever thread saw it.
    std::function<void(std::string_view why)> on_fault;
  };

  /// `memory` and `irq` are borrowed and outlive the transport.
  MmioTransport(const memory::GuestMemory& memory, IrqLine& irq, std::unique_ptr<Device> device, Callbacks callbacks);
  ~MmioTransport() override;

  [[nodiscard]] Device& device() noexcept { return *device_; }
  [[nodiscard]] std::uint16_t queue_count() const noexcept { return static_cast<std::uint16_t>(setups_.size()); }

  // A vCPU's accesses.
  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void write(std::uint64_t offset, base::ByteView data) noexcept override;

  /// The doorbell of a queue rang. Serves it, unless somebody works for the device already: then he will, or with a
  /// `kick` sees to it that this is called again. So with one, only this serves queues: a vCPU never does.
  void notify(std::uint16_t index) noexcept override;

  /// For good: the request under way is the last. Whoever ends the VM calls it before it waits for the worker.
  void stop() noexcept { stopping_.fetch_add(1); }

  // Transport, for the device.
  void begin_work() noexcept override;
  void end_work() noexcept override;
  Queue* queue(std::uint16_t index) noexcept override;
  void interrupt(Queue& queue) noexcept override;
  bool may_continue() noexcept override;
  std::uint64_t driver_features() const noexcept override;
  void config_changed() noexcept override;

  /// The layout of what save() gives; another one is refused by restore().
  static constexpr std::uint32_t kStateVersion = 1;
  /// Registers, queues and the device's own state: one section of a snapshot. Whoever also copies guest memory calls
  /// begin_work() on every transport before and end_work() when both are copied: then nothing moves in between.
  [[nodiscard]] base::Bytes save();
  /// Takes over what save() gave, on a device with the same features and queues. Everything is checked; after a
  /// failure the device is as after a reset.
  base::Status restore(base::ByteView saved);
  /// After restore(), when the vCPUs are about to run: what rang or was raised around the snapshot happens again.
  void kick_all() noexcept;

 private:
  // One queue as the driver sets it up (4.2.2, QueueSel and following).
  struct QueueSetup {
    std::uint16_t max_size = 0;
    bool ready = false;
    QueueLayout layout;
  };

  std::uint32_t read_register(std::uint64_t offset) noexcept;
  void write_register(std::uint64_t offset, std::uint32_t value) noexcept;
  void write_queue_register(std::uint64_t offset, std::uint32_t value) noexcept;
  void write_features(std::uint32_t value) noexcept;
  void write_status(std::uint32_t value) noexcept;
  std::uint32_t accept_status(std::uint32_t wanted) noexcept;
  void reset() noexcept;
  void forget_driver() noexcept;
  void activate() noexcept;
  void fail(std::string_view why) noexcept;
  void finish_work(std::unique_lock<std::mutex>& lock) noexcept;
  void release_work() noexcept;
  void serve(std::uint16_t index) noexcept;
  void settle() noexcept;
  void raise(std::uint32_t cause) noexcept;
  [[nodiscard]] std::uint64_t offered_features() const noexcept;
  base::Status restore_checked(base::ByteReader& in);

  const memory::GuestMemory& memory_;
  IrqLine& irq_;
  const std::unique_ptr<Device> device_;
  const Callbacks callbacks_;

  // 4.2.2 InterruptStatus and ConfigGeneration, and what may be asked without waiting for anybody.
  std::atomic<std::uint32_t> interrupt_status_{0};
  std::atomic<std::uint32_t> config_generation_{0};
  std::atomic<std::uint32_t> stopping_{0};  // resets that wait for the worker, and stop()
  std::atomic<bool> fault_reported_{false};

  std::mutex mutex_;  // for all that follows up to "work"; never held while a device works
  std::uint32_t status_ = 0;
  std::uint32_t device_features_sel_ = 0;
  std::uint32_t driver_features_sel_ = 0;
  std::uint32_t queue_sel_ = 0;
  std::uint64_t driver_features_ = 0;
  std::vector<QueueSetup> setups_;
  std::condition_variable idle_;
  std::thread::id worker_;     // who works; nobody: none
  std::uint32_t depth_ = 0;    // begin_work() calls of that thread
  std::uint32_t pending_ = 0;  // doorbells to serve, a bit per queue

  // Belongs to whoever works.
  std::vector<std::optional<Queue>> queues_;
  bool live_ = false;  // the driver has set up and broken nothing
  std::uint32_t turn_left_ = 0;
  std::int64_t turn_end_ns_ = 0;
  bool turn_over_ = false;
};

}  // namespace pyro::devices::virtio
