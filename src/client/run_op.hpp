// Running one command in one new VM, as an operation.
// Thread rule: as Op.
#pragma once

#include "client/command_op.hpp"
#include "client/vm_start.hpp"

namespace pyro::client {

class RunOp final : public CommandOp {
 public:
  RunOp(ContextPtr context, Poller poller, RunRequest request);

 private:
  base::Result<std::unique_ptr<VmLink>> connect() override;
  void stop_connecting() noexcept override { start_.stop(); }
  [[nodiscard]] Place place() const override { return {start_.engine(), PYRO_START_COLD, {}}; }

  std::uint64_t boot_timeout_ms_;
  VmStart start_;
};

}  // namespace pyro::client
