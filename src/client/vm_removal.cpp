#include "client/vm_removal.hpp"

#include "base/clock.hpp"
#include "client/process_identity.hpp"
#include "client/vm_index.hpp"
#include "jail/spawn.hpp"

#include <csignal>
#include <utility>

#include <sys/syscall.h>
#include <unistd.h>

namespace pyro::client {

namespace {

// A supervisor that is told to drop everything does so at once; else it is killed.
constexpr std::int64_t kDiscardMs = 3'000;
constexpr std::int64_t kDeadMs = 10'000;
constexpr std::int64_t kRetryMs = 5;

}  // namespace

VmRemoval::VmRemoval(ContextPtr context, const VmFolder& folder, Poller& poller)
    : context_(std::move(context)),
      folder_(folder),
      poller_(poller),
      control_(folder, poller, wire::bare_frame(wire::FrameType::discard), kDiscardMs),
      deadline_ms_(base::monotonic_ms() + kDiscardMs) {}

base::Result<bool> VmRemoval::poll() {
  const auto lock = folder_.try_lock();
  if (!lock.ok() && lock.error().code == PYRO_ERROR_NOT_FOUND) {
    return true;  // somebody else was faster
  }
  if (!lock.ok()) {
    return lock.error();
  }
  if (*lock) {
    PYRO_TRY(context_->index->remove_folder(folder_));
    return true;
  }
  if (!told_) {
    const auto outcome = control_.poll();
    // One that does not listen yet may in a moment.
    told_ = outcome.ok() ? outcome->over : outcome.error().code != PYRO_ERROR_STATE;
  }
  const std::int64_t now_ms = base::monotonic_ms();
  if (now_ms >= deadline_ms_) {
    if (std::exchange(killed_, true)) {
      return base::make_error(PYRO_ERROR_TIMEOUT, "the supervisor of VM {} does not end", folder_.id());
    }
    deadline_ms_ = now_ms + kDeadMs;
    PYRO_TRY(kill());
  }
  PYRO_TRY(poller_.set_deadline(now_ms + kRetryMs));
  return false;
}

// It does not listen: a process that is stopped, or broken.
base::Status VmRemoval::kill() {
  PYRO_TRY_ASSIGN(const auto run, folder_.run());
  if (!run || run->pid <= 1 || run->boot_id != current_boot_id()) {
    return base::success();
  }
  const auto pidfd = jail::open_pidfd(static_cast<pid_t>(run->pid));
  // Between both looks the number stays the same process's: the descriptor holds it.
  if (pidfd.ok() && run->pid_start != 0 && process_start(run->pid) == run->pid_start) {
    context_->log.add(PYRO_LOG_WARNING, "vm {}: its supervisor does not answer and is killed", folder_.id());
    ::syscall(SYS_pidfd_send_signal, pidfd->get(), SIGKILL, nullptr, 0);
  }
  return base::success();
}

}  // namespace pyro::client
