// Entries of the C ABI: the registry.
#include "client/capi.hpp"
#include "client/registry_op.hpp"

using namespace pyro::client;
namespace base = pyro::base;

namespace {

base::Result<std::unique_ptr<Op>> make_rebuild(pyro_context* context) {
  PYRO_TRY(check(context));
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  return std::unique_ptr<Op>(std::make_unique<RebuildRegistryOp>(context->shared, std::move(poller)));
}

}  // namespace

pyro_status pyro_registry_rebuild(pyro_context* context, pyro_vm_list** list, pyro_error** error) noexcept {
  return guard(error, [&]() -> base::Result<pyro_status> {
    PYRO_TRY(check(context));
    if (list == nullptr) {
      return base::make_error(PYRO_ERROR_INVALID, "the place for the outcome is NULL");
    }
    PYRO_TRY_ASSIGN(const auto op, make_rebuild(context));
    Event& last = run_to_end(*op, [](const Event&) {});
    if (last.error) {
      return report(std::move(last.error), error);
    }
    *list = last.vms.release();
    return PYRO_OK;
  });
}

pyro_status pyro_registry_rebuild_start(pyro_context* context, pyro_op** op, pyro_error** error) noexcept {
  return guard(error, [&]() -> base::Status {
    PYRO_TRY(check(context));
    if (op == nullptr) {
      return base::make_error(PYRO_ERROR_INVALID, "op is NULL");
    }
    PYRO_TRY_ASSIGN(auto core, make_rebuild(context));
    return hand_out(std::move(core), op);
  });
}
