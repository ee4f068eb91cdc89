// Entries of the C ABI: the registry.
#include "client/capi_calls.hpp"
#include "client/registry_op.hpp"

using namespace pyro::client;

namespace {

OpResult make_rebuild(pyro_context* context) {
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  return std::unique_ptr<Op>(std::make_unique<RebuildRegistryOp>(context->shared, std::move(poller)));
}

}  // namespace

pyro_status pyro_registry_rebuild(pyro_context* context, pyro_vm_list** list, pyro_error** error) noexcept {
  return wait(context, list, error, &Event::vms, [&] { return make_rebuild(context); });
}

pyro_status pyro_registry_rebuild_start(pyro_context* context, pyro_op** op, pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make_rebuild(context); });
}
