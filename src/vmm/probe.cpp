#include "vmm/probe.hpp"

#include "base/fd.hpp"
#include "base/io.hpp"
#include "vmm/probe_guest.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>

#include <fcntl.h>
#include <unistd.h>

namespace pyro::vmm {

namespace {

constexpr const char* kKvmPath = "/dev/kvm";

// 20,000 iterations take 10 ms or more where they are emulated and under 0.1 ms where they are not; the
// first run may pay for translation (nested hosts), so the best of three counts.
constexpr std::uint32_t kLoopIterations = 20'000;
constexpr int kMaxRuns = 3;
constexpr std::int64_t kAcceleratedBelowNs = 2'000'000;

// The most that all runs together may take before the vCPU is kicked out of KVM_RUN. By the clock on the wall, so
// it leaves room for a busy host.
constexpr long kLimitNs = 900'000'000;

// Sets kvm_run::immediate_exit by a timer's signal, which also interrupts a KVM_RUN under way: whichever
// of the two comes first, the vCPU returns. Restores the signal's handler and mask at its end.
class KickTimer {
 public:
  KickTimer() = default;
  KickTimer(const KickTimer&) = delete;
  KickTimer& operator=(const KickTimer&) = delete;
  ~KickTimer() {
    if (armed_) {
      ::timer_delete(timer_);
    }
    if (handling_) {
      ::sigaction(SIGRTMIN, &old_action_, nullptr);
      ::pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
    }
  }

  base::Status arm(kvm_run* run, long after_ns) {
    struct sigaction action {};
    action.sa_sigaction = &KickTimer::kick;
    action.sa_flags = SA_SIGINFO;
    sigset_t kick_signal;
    sigemptyset(&kick_signal);
    sigaddset(&kick_signal, SIGRTMIN);
    ::pthread_sigmask(SIG_UNBLOCK, &kick_signal, &old_mask_);
    ::sigaction(SIGRTMIN, &action, &old_action_);
    handling_ = true;

    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGRTMIN;
    event.sigev_value.sival_ptr = run;
    event._sigev_un._tid = ::gettid();  // sigev_notify_thread_id, which glibc 2.36 does not name
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) {
      return base::errno_error(errno, "cannot make a timer");
    }
    armed_ = true;
    itimerspec when{};
    when.it_value.tv_nsec = after_ns;
    if (::timer_settime(timer_, 0, &when, nullptr) != 0) {
      return base::errno_error(errno, "cannot set a timer");
    }
    return base::success();
  }

 private:
  static void kick(int /*signal_number*/, siginfo_t* info, void* /*context*/) {
    if (info->si_code == SI_TIMER) {
      static_cast<volatile kvm_run*>(info->si_value.sival_ptr)->immediate_exit = 1;
    }
  }

  timer_t timer_{};
  struct sigaction old_action_ {};
  sigset_t old_mask_{};
  bool handling_ = false;
  bool armed_ = false;
};

KvmProbe cannot_open(int sys_errno) {
  switch (sys_errno) {
    case ENOENT:
      return {PYRO_KVM_ABSENT, fmt::format("there is no {}", kKvmPath)};
    case EACCES:
    case EPERM:
      return {PYRO_KVM_NO_PERMISSION, fmt::format("user {} may not open {}", ::geteuid(), kKvmPath)};
    default:
      return {PYRO_KVM_ABSENT, fmt::format("cannot open {}: {}", kKvmPath, base::errno_text(sys_errno))};
  }
}

KvmProbe emulating(std::string_view how) {
  return {PYRO_KVM_EMULATING,
          fmt::format("{} (KVM) opens, but emulates guest kernels instead of running them: {}", kKvmPath, how)};
}

base::Result<KvmProbe> time_guest(ProbeGuest& guest) {
  KickTimer kick;
  PYRO_TRY(kick.arm(guest.run(), kLimitNs));
  std::int64_t best_ns = kLimitNs;
  for (int i = 0; i < kMaxRuns; ++i) {
    auto run = guest.time_loop(kLoopIterations);
    if (!run.ok()) {
      return emulating(run.error().message);
    }
    if (!run->has_value()) {
      return emulating(
          fmt::format("a loop of {} iterations did not end in {} ms", kLoopIterations, kLimitNs / 1'000'000));
    }
    best_ns = std::min(best_ns, **run);
    if (best_ns < kAcceleratedBelowNs) {
      break;
    }
  }
  const auto took = fmt::format("a loop of {} iterations took {:.2f} ms (accelerated: under {} ms)", kLoopIterations,
                                static_cast<double>(best_ns) / 1e6, kAcceleratedBelowNs / 1'000'000);
  if (best_ns >= kAcceleratedBelowNs) {
    return emulating(took);
  }
  return KvmProbe{PYRO_KVM_ACCELERATED, fmt::format("{} (KVM) is accelerated: {}", kKvmPath, took)};
}

}  // namespace

const char* kvm_state_name(pyro_kvm_state state) noexcept {
  switch (state) {
    case PYRO_KVM_NO_PERMISSION:
      return "no_permission";
    case PYRO_KVM_EMULATING:
      return "emulating";
    case PYRO_KVM_ACCELERATED:
      return "accelerated";
    default:
      return "absent";
  }
}

base::Result<KvmProbe> probe_kvm() {
  auto kvm = base::open_file(kKvmPath, O_RDWR);
  if (!kvm.ok()) {
    return cannot_open(kvm.error().sys_errno);
  }
  auto system = Kvm::adopt(std::move(*kvm));
  if (!system.ok()) {
    return KvmProbe{PYRO_KVM_ABSENT, fmt::format("{} opens but does not work: {}", kKvmPath, system.error().message)};
  }
  auto guest = ProbeGuest::create(*system);
  if (!guest.ok()) {
    return KvmProbe{PYRO_KVM_ABSENT, fmt::format("{} opens but does not work: {}", kKvmPath, guest.error().message)};
  }
  return time_guest(*guest);
}

}  // namespace pyro::vmm
