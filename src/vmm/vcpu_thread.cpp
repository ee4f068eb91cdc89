#include "vmm/vcpu_thread.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <system_error>

#include <pthread.h>

namespace pyro::vmm {

namespace {

// The one that pyro-vm's threads may send each other (jail/seccomp.hpp): glibc's SIGRTMIN.
int kick_signal() {
  return SIGRTMIN;
}

void ignore_kick(int /*signal_number*/) {}

// What a guest's kernel alone can bring about, by an instruction or an interrupt table at an address that is not RAM. (Of a
// guest's programs KVM makes an invalid instruction.)
bool is_guests_doing(std::uint32_t internal_error) noexcept {
  return internal_error == KVM_INTERNAL_ERROR_EMULATION || internal_error == KVM_INTERNAL_ERROR_SIMUL_EX ||
         internal_error == KVM_INTERNAL_ERROR_DELIVERY_EV;
}

}  // namespace

base::Status install_kick_handler() {
  struct sigaction action {};
  action.sa_handler = &ignore_kick;
  // Without SA_RESTART: the point is that KVM_RUN returns.
  if (::sigaction(kick_signal(), &action, nullptr) != 0) {
    return base::errno_error(errno, "cannot handle the signal that interrupts a vCPU");
  }
  return base::success();
}

VcpuThread::~VcpuThread() {
  if (thread_.joinable()) {
    ask(Request::stop);
    thread_.join();
  }
}

base::Status VcpuThread::start(std::function<bool()> enter) {
  try {
    thread_ = std::thread([this, enter = std::move(enter)] {
      ::pthread_setname_np(::pthread_self(), fmt::format("pyro-vcpu-{}", id_).c_str());
      try {
        if (enter()) {
          loop();
        }
      } catch (const std::exception& error) {
        report(RunEnd::Kind::failed, fmt::format("the thread of vCPU {} failed: {}", id_, error.what()));
      }
      const std::lock_guard lock(mutex_);
      parked_ = true;  // for good
      changed_.notify_all();
    });
  } catch (const std::system_error& error) {
    return base::make_error(PYRO_ERROR_LIMIT, "cannot start a vCPU's thread: {}", error.what());
  }
  clockid_t clock{};
  if (::pthread_getcpuclockid(thread_.native_handle(), &clock) == 0) {
    clock_ = clock;
  }
  return base::success();
}

void VcpuThread::request_pause() noexcept {
  ask(Request::pause);
}

bool VcpuThread::wait_parked(std::int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return parked_; });
}

void VcpuThread::resume() noexcept {
  ask(Request::run);
}

void VcpuThread::ask(Request request) noexcept {
  {
    const std::lock_guard lock(mutex_);
    request_ = request;
    changed_.notify_all();
  }
  if (request != Request::run && thread_.joinable()) {
    std::atomic_ref<__u8>(vcpu_.run().immediate_exit) = 1;
    ::pthread_kill(thread_.native_handle(), kick_signal());
  }
}

std::int64_t VcpuThread::cpu_time_ms() const noexcept {
  timespec time{};
  // A thread that has ended has no clock any more.
  if (!clock_ || ::clock_gettime(*clock_, &time) != 0) {
    return 0;
  }
  return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

void VcpuThread::loop() {
  while (true) {
    if (request_ != Request::run && !park()) {
      return;
    }
    const int error = vcpu_.enter();
    exits_.fetch_add(1, std::memory_order_relaxed);
    if (error == 0) {
      if (!handle_exit()) {
        return;
      }
    } else if (error == EINTR || error == EAGAIN) {
      // Cleared before the request is looked at: a kick that comes in between sets it again.
      std::atomic_ref<__u8>(vcpu_.run().immediate_exit) = 0;
    } else {
      return report(RunEnd::Kind::failed,
                    "KVM cannot run vCPU " + std::to_string(id_) + ": " + base::errno_text(error));
    }
  }
}

bool VcpuThread::park() {
  std::unique_lock lock(mutex_);
  parked_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return request_ != Request::pause; });
  parked_ = false;
  return request_ == Request::run;
}

bool VcpuThread::handle_exit() {
  const kvm_run& run = vcpu_.run();
  switch (run.exit_reason) {
    case KVM_EXIT_IO:
      handle_io();
      return true;
    case KVM_EXIT_MMIO:
      handle_mmio();
      return true;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
      return true;
    case KVM_EXIT_SHUTDOWN:
      report(RunEnd::Kind::triple_fault, "a CPU of the guest shut down (triple fault)");
      return false;
    case KVM_EXIT_FAIL_ENTRY:
      report(RunEnd::Kind::failed,
             fmt::format("KVM could not enter the guest (hardware reason {:#x})",
                         static_cast<std::uint64_t>(run.fail_entry.hardware_entry_failure_reason)));
      return false;
    case KVM_EXIT_INTERNAL_ERROR:
      report(is_guests_doing(run.internal.suberror) ? RunEnd::Kind::not_emulated : RunEnd::Kind::failed,
             fmt::format("KVM could not emulate what the guest did (suberror {})",
                         static_cast<std::uint32_t>(run.internal.suberror)));
      return false;
    default:
      report(RunEnd::Kind::failed, fmt::format("KVM left the guest for a reason that was not asked for ({})",
                                               std::uint32_t{run.exit_reason}));
      return false;
  }
}

void VcpuThread::handle_io() {
  kvm_run& run = vcpu_.run();
  auto* data = reinterpret_cast<std::byte*>(&run) + run.io.data_offset;
  // Usually one access; a string instruction comes as several.
  for (std::uint32_t i = 0; i < run.io.count; ++i) {
    const std::span<std::byte> unit(data + std::size_t{i} * run.io.size, run.io.size);
    if (run.io.direction == KVM_EXIT_IO_OUT) {
      world_.port_bus.write(run.io.port, unit);
    } else {
      world_.port_bus.read(run.io.port, unit);
    }
  }
}

void VcpuThread::handle_mmio() {
  kvm_run& run = vcpu_.run();
  const std::span<std::byte> data(reinterpret_cast<std::byte*>(run.mmio.data), run.mmio.len);
  if (run.mmio.is_write != 0) {
    world_.memory_bus.write(run.mmio.phys_addr, data);
  } else {
    world_.memory_bus.read(run.mmio.phys_addr, data);
  }
}

void VcpuThread::report(RunEnd::Kind kind, std::string detail) {
  world_.end.report({kind, std::move(detail)});
}

}  // namespace pyro::vmm
