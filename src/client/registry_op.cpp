#include "client/registry_op.hpp"

#include "client/vm_index.hpp"
#include "client/vm_ops.hpp"

namespace pyro::client {

base::Status RebuildRegistryOp::step() {
  PYRO_TRY_ASSIGN(auto infos, context().index->rebuild());
  sort_newest_first(infos);
  emit(vms_event(infos, state::VmKind::vm));
  return base::success();
}

}  // namespace pyro::client
