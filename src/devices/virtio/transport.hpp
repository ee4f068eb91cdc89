// What a virtio device sees of the transport that it sits behind.
//
// Work: everything that touches queues or a device's state happens inside begin_work() and end_work(), one thread at
// a time. It is not a lock: nothing is held while a device reads a file, a doorbell that rings meanwhile is noted, to be
// served by the device's worker, and only a reset (and a caller of begin_work) waits, for the request under way.
#pragma once

#include <cstdint>

namespace pyro::devices::virtio {

class Queue;

class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  /// Waits until no other thread works for this device. A thread that works already may call it again.
  virtual void begin_work() noexcept = 0;
  /// Interrupts the driver if it has chains back and wants to know, sees to it that doorbells that rang are served, and
  /// lets others in.
  virtual void end_work() noexcept = 0;

  /// Inside work only: the queue, or nullptr while the driver has not finished setting up, after it broke a queue,
  /// or if it does not use this one. Valid until the work ends.
  [[nodiscard]] virtual Queue* queue(std::uint16_t index) noexcept = 0;
  /// Inside work only: interrupts for `queue` at once rather than when the work ends.
  virtual void interrupt(Queue& queue) noexcept = 0;
  /// Any thread: as if the driver had rung for this queue.
  virtual void notify(std::uint16_t index) noexcept = 0;
  /// Inside process_queue() only, before each chain: false when the device should return, because the guest resets
  /// it or because others are to have their turn (then process_queue() is called again).
  [[nodiscard]] virtual bool may_continue() noexcept = 0;
  /// Inside work only: the features that the driver has accepted.
  [[nodiscard]] virtual std::uint64_t driver_features() const noexcept = 0;

  /// Any thread: tells the driver that the configuration has changed.
  virtual void config_changed() noexcept = 0;
};

/// Work for the length of a scope.
class Work {
 public:
  explicit Work(Transport& transport) noexcept : transport_(transport) { transport_.begin_work(); }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  ~Work() { transport_.end_work(); }

 private:
  Transport& transport_;
};

}  // namespace pyro::devices::virtio
