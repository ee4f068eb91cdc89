// jail/kvm_requests.hpp has to repeat numbers of <linux/kvm.h>; here they are compared.
#include "jail/kvm_requests.hpp"

#include <linux/kvm.h>

namespace pyro {

static_assert(jail::kKvmRun == KVM_RUN);
static_assert(jail::kKvmGetRegs == KVM_GET_REGS);
static_assert(jail::kKvmGetSregs == KVM_GET_SREGS);
static_assert(jail::kKvmGetMpState == KVM_GET_MP_STATE);
static_assert(jail::kKvmGetVcpuEvents == KVM_GET_VCPU_EVENTS);
static_assert(jail::kKvmKvmclockCtrl == KVM_KVMCLOCK_CTRL);
static_assert(jail::kKvmGetClock == KVM_GET_CLOCK);
static_assert(jail::kKvmSetClock == KVM_SET_CLOCK);

}  // namespace pyro
