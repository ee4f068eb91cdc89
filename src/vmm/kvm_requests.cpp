// jail/kvm_requests.hpp has to repeat numbers of <linux/kvm.h>; here they are compared.
#include "jail/kvm_requests.hpp"

#include <linux/kvm.h>

namespace pyro {

static_assert(jail::kKvmRun == KVM_RUN);
static_assert(jail::kKvmGetRegs == KVM_GET_REGS);
static_assert(jail::kKvmGetMpState == KVM_GET_MP_STATE);

}  // namespace pyro
