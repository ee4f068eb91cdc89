#include "client/run_op.hpp"

namespace pyro::client {

RunOp::RunOp(ContextPtr context, Poller poller, RunRequest request)
    : CommandOp(std::move(context), std::move(poller), std::move(request.command), make_vm_id()),
      boot_timeout_ms_(request.vm.boot_timeout_ms),
      start_(context_ptr(), this->poller(), std::move(request.vm), vm_id(),
             {[this](Event event) { emit(std::move(event)); },
              [this](jail::Process process) { retire(std::move(process)); }}) {}

base::Result<std::unique_ptr<VmLink>> RunOp::connect() {
  PYRO_TRY_ASSIGN(auto vm, start_.poll());
  if (vm) {
    PYRO_TRY(allow_until(start_.launched_ms() + static_cast<std::int64_t>(boot_timeout_ms_) + kSupervisorGraceMs));
  }
  return vm;
}

}  // namespace pyro::client
