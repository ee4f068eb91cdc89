#include "vmm/run_end.hpp"

#include "vmm/eventfd.hpp"

namespace pyro::vmm {

base::Result<RunEndReport> RunEndReport::create() {
  PYRO_TRY_ASSIGN(base::Fd event, make_eventfd());
  return RunEndReport(std::move(event));
}

void RunEndReport::report(RunEnd end) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (end_) {
      return;
    }
    end_ = std::move(end);
  }
  signal_eventfd(event_.get());
}

std::optional<RunEnd> RunEndReport::get() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

}  // namespace pyro::vmm
