#include "client/retired.hpp"

#include "base/clock.hpp"

#include <algorithm>

#include <sys/epoll.h>

namespace pyro::client {

RetiredHelpers::~RetiredHelpers() {
  for (Helper& helper : helpers_) {
    const auto left_ms = std::max<std::int64_t>(helper.deadline_ms - base::monotonic_ms(), 0);
    // In a forked child of the host they are the parent's.
    if (helper.process.is_ours() && !helper.process.wait(static_cast<int>(left_ms))) {
      helper.process.kill();
    }
  }
}

void RetiredHelpers::add(jail::Process process, const Poller& poller) {
  Helper& helper =
      helpers_.emplace_back(Helper{std::move(process), Watch(), base::monotonic_ms() + jail::Process::kGraceMs});
  // One that cannot be watched is reaped in the end all the same.
  if (auto watch = poller.watch(helper.process.pidfd(), EPOLLIN); watch.ok()) {
    helper.watch = std::move(watch).value();
  }
}

void RetiredHelpers::collect() noexcept {
  helpers_.remove_if([](Helper& helper) { return helper.process.wait(0); });
}

}  // namespace pyro::client
