#include "guest/disk_sync.hpp"

#include "base/clock.hpp"
#include "base/io.hpp"
#include "guest/boot.hpp"
#include "guest/console.hpp"

#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace pyro::guest {

namespace {

void ring(const base::Fd& eventfd) noexcept {
  const std::uint64_t one = 1;
  (void)!::write(eventfd.get(), &one, sizeof one);
}

void wait_for_ring(const base::Fd& eventfd) noexcept {
  std::uint64_t count = 0;
  (void)!::read(eventfd.get(), &count, sizeof count);
}

// Whether somebody rings in this time, or has.
bool rings_within(const base::Fd& eventfd, int time_ms) noexcept {
  pollfd wanted{eventfd.get(), POLLIN, 0};
  return ::poll(&wanted, 1, time_ms) > 0;
}

// To begin to watch takes longer than a short command, so it waits for a pause between two.
constexpr int kQuietMs = 20;

}  // namespace

base::Result<std::unique_ptr<DiskSync>> DiskSync::start(EventLoop& loop, const std::string& path) {
  PYRO_TRY_ASSIGN(base::Fd file_system, base::open_file(path, O_RDONLY | O_DIRECTORY));
  base::Fd wake(::eventfd(0, EFD_CLOEXEC));
  base::Fd finished(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid() || !finished.valid()) {
    return base::errno_error(errno, "cannot make an eventfd");
  }
  std::unique_ptr<DiskSync> sync(new DiskSync(loop, std::move(file_system), std::move(wake), std::move(finished)));
  // The agent has no exceptions to catch: without threads there is no guest.
  sync->thread_ = std::thread([raw = sync.get()] { raw->run(); });
  return sync;
}

DiskSync::DiskSync(EventLoop& loop, base::Fd file_system, base::Fd wake, base::Fd finished)
    : file_system_(std::move(file_system)),
      wake_(std::move(wake)),
      finished_(std::move(finished)),
      watch_(loop, finished_.get(), [this](std::uint32_t) { wait_for_ring(finished_); }) {
  watch_.want(EPOLLIN);
}

DiskSync::~DiskSync() {
  ending_ = true;
  ring(wake_);
  if (thread_.joinable()) {
    thread_.join();
  }
}

std::uint64_t DiskSync::request() {
  if (is_clean()) {
    return last_;
  }
  requested_ = ++last_;
  ring(wake_);
  return last_;
}

bool DiskSync::is_clean() const noexcept {
  const std::uint64_t count = clean_count_;
  return count != kNeverClean && done_ == last_ && changes_->count() == count;
}

void DiskSync::run() noexcept {
  // Above every command, as the agent: an exit waits for it, and it hardly computes.
  sched_param realtime{};
  realtime.sched_priority = kAgentPriority;
  ::sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &realtime);
  std::uint64_t count = kNeverClean;
  std::int64_t counted_ns = 0;
  // Before the first sync nothing can be known to be clean.
  bool synced = false;
  bool watches = false;
  while (true) {
    if (synced && !watches && !rings_within(wake_, kQuietMs)) {
      watches = true;
      watch_changes();
    }
    wait_for_ring(wake_);
    if (ending_) {
      return;
    }
    const std::uint64_t number = requested_;
    const std::int64_t now_ns = base::monotonic_ns();
    if (const std::uint64_t now = changes_ ? changes_->count() : kNeverClean; now != count) {
      count = now;
      counted_ns = base::monotonic_ns();
    }
    if (::syncfs(file_system_.get()) != 0) {
      failed_ = true;
    } else {
      if (now_ns - counted_ns > DiskChanges::kSettledNs) {
        clean_count_ = count;
      }
      done_ = number;
    }
    ring(finished_);
    synced = true;
  }
}

void DiskSync::watch_changes() noexcept {
  if (auto changes = DiskChanges::watch()) {
    changes_.emplace(std::move(*changes));
  } else {
    console_line("cannot see what changes the disk: every command waits for it");
  }
}

}  // namespace pyro::guest
