// VcpuThread: one vCPU and the thread that runs it.
//
// The thread is either inside the guest, in an exit's handler, or parked. Whoever wants it parked says so
// (a request), then kicks it: immediate_exit makes the next KVM_RUN return at once, and a signal ends the
// one under way; whichever the thread meets first, it looks at the request before it enters the guest again.
// Thread rule: everything but start() may be called by any one other thread at a time.
#pragma once

#include "devices/bus.hpp"
#include "vmm/kvm.hpp"
#include "vmm/run_end.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include <ctime>

namespace pyro::vmm {

class VcpuThread {
 public:
  struct World {
    devices::Bus& memory_bus;
    devices::Bus& port_bus;
    RunEndReport& end;
  };

  VcpuThread(std::uint32_t id, Vcpu vcpu, World world) noexcept : id_(id), vcpu_(std::move(vcpu)), world_(world) {}
  VcpuThread(const VcpuThread&) = delete;
  VcpuThread& operator=(const VcpuThread&) = delete;
  /// Stops the thread and waits for it.
  ~VcpuThread();

  /// Starts the thread; it calls `enter` (confinement) first, and runs the guest if that is true. Errors: LIMIT.
  base::Status start(std::function<bool()> enter);
  /// Asks for the vCPU to be parked; wait_parked() tells whether it is. Both return at once for one that ended.
  void request_pause() noexcept;
  /// False if it is not parked after `timeout_ms`: some handler hangs.
  bool wait_parked(std::int64_t timeout_ms);
  void resume() noexcept;

  /// The vCPU, to look at while it is parked.
  [[nodiscard]] Vcpu& vcpu() noexcept { return vcpu_; }
  [[nodiscard]] std::int64_t cpu_time_ms() const noexcept;
  /// How often the guest was left so far, for whatever reason.
  [[nodiscard]] std::uint64_t exits() const noexcept { return exits_.load(std::memory_order_relaxed); }

 private:
  enum class Request { run, pause, stop };

  void loop();
  /// Parks until the request changes. False: stop.
  bool park();
  /// False if the guest cannot go on.
  bool handle_exit();
  void handle_io();
  void handle_mmio();
  void ask(Request request) noexcept;
  void report(RunEnd::Kind kind, std::string detail);

  const std::uint32_t id_;
  Vcpu vcpu_;
  World world_;
  std::atomic<std::uint64_t> exits_{0};
  std::atomic<Request> request_{Request::run};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool parked_ = false;  // under mutex_
  std::thread thread_;
  std::optional<clockid_t> clock_;
};

/// Gives the kick signal its (empty) handler, once per process, before the first vCPU starts.
base::Status install_kick_handler();

}  // namespace pyro::vmm
