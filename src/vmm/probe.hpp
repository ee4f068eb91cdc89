// Whether /dev/kvm is worth using. That it opens says little: some hosts offer a KVM that runs guest
// kernels in an instruction emulator, hundreds of times slower than real hardware. So a tiny guest kernel
// is run and timed.
// Thread rule: any thread, but only one at a time, and see probe_kvm() on signals.
#pragma once

#include "base/result.hpp"

#include <string>

namespace pyro::vmm {

struct KvmProbe {
  pyro_kvm_state state = PYRO_KVM_ABSENT;
  /// What was found, in words, with the measured figure.
  std::string detail;
};

/// "absent", "no_permission", "emulating" or "accelerated". Static.
const char* kvm_state_name(pyro_kvm_state state) noexcept;

/// Finds out, within about a second whatever KVM does. A KVM that fails half-way is an answer (absent or
/// emulating, with the reason); an error means that the probe itself lacked memory, a timer or the like.
/// While it runs, SIGRTMIN has a handler of the probe and is unblocked in the calling thread: meant for a
/// process of its own (pyro-vm --probe).
base::Result<KvmProbe> probe_kvm();

}  // namespace pyro::vmm
