// Which engine runs a VM, and why. Pure decisions; kvm_probe.hpp measures what they rest on.
// Thread rule: free functions.
#pragma once

#include "base/result.hpp"

#include <string>

namespace pyro::client {

/// What /dev/kvm is worth, as `pyro-vm --probe` measured it.
struct KvmProbe {
  pyro_kvm_state state = PYRO_KVM_ABSENT;
  /// What was found, in words.
  std::string detail;
  /// False if measuring failed; then the state is the cautious guess.
  bool measured = true;
};

struct EngineChoice {
  pyro_engine engine = PYRO_ENGINE_SOFTWARE;
  std::string why;
};

/// "absent", "no_permission", "emulating", "accelerated"; and back (`emulating`, the cautious one, for
/// a word that is none).
const char* kvm_state_name(pyro_kvm_state state) noexcept;
pyro_kvm_state kvm_state_from_name(const std::string& name) noexcept;
/// What to do about a state, "" if nothing.
const char* kvm_remedy(pyro_kvm_state state) noexcept;
/// "auto", "kvm", "software".
const char* engine_name(pyro_engine engine) noexcept;

/// The choice of a caller, after `variable` (PYRO_ENGINE, "" if unset) has filled in AUTO. An explicit
/// choice is never weakened. Errors: INVALID.
base::Result<pyro_engine> wanted_engine(std::uint32_t option, const std::string& variable);

/// Whether choose_engine() needs to know about /dev/kvm.
[[nodiscard]] inline bool needs_probe(pyro_engine wanted) noexcept {
  return wanted != PYRO_ENGINE_SOFTWARE;
}

/// Errors: UNSUPPORTED, with the reason, if KVM is wanted and cannot be had.
base::Result<EngineChoice> choose_engine(pyro_engine wanted, const KvmProbe& kvm);

}  // namespace pyro::client
