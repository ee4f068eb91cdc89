// WorkerThread: a thread that does nothing but serve its doorbells; the one for block I/O, so that a cold
// read of the disk does not hold up everything else.
// Thread rule: start() and destruction by one thread, while no other uses it.
#pragma once

#include "vmm/doorbells.hpp"

#include <atomic>
#include <functional>
#include <thread>

namespace pyro::vmm {

class WorkerThread {
 public:
  static base::Result<std::unique_ptr<WorkerThread>> create();
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;
  /// Stops the thread, after the request that it is at, and waits for it.
  ~WorkerThread();

  /// To be filled before start().
  [[nodiscard]] Doorbells& doorbells() noexcept { return doorbells_; }
  /// Starts the thread; it calls `enter` (confinement) first, and serves if that is true. `on_failure`: it cannot go on;
  /// called once at most, on it. Errors: LIMIT.
  base::Status start(std::function<bool()> enter, std::function<void(const char*)> on_failure);

 private:
  WorkerThread(Doorbells doorbells, base::Fd stop) noexcept
      : doorbells_(std::move(doorbells)), stop_(std::move(stop)) {}

  Doorbells doorbells_;
  base::Fd stop_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace pyro::vmm
