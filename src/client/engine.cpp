#include "client/engine.hpp"

#include <array>

namespace pyro::client {

namespace {

constexpr std::array<const char*, 4> kKvmStateNames{"absent", "no_permission", "emulating", "accelerated"};
constexpr std::array<const char*, 3> kEngineNames{"auto", "kvm", "software"};

}  // namespace

const char* kvm_state_name(pyro_kvm_state state) noexcept {
  const auto index = static_cast<std::size_t>(state);
  return index < kKvmStateNames.size() ? kKvmStateNames[index] : "emulating";
}

pyro_kvm_state kvm_state_from_name(const std::string& name) noexcept {
  for (std::size_t i = 0; i < kKvmStateNames.size(); ++i) {
    if (name == kKvmStateNames[i]) {
      return static_cast<pyro_kvm_state>(i);
    }
  }
  return PYRO_KVM_EMULATING;
}

const char* kvm_remedy(pyro_kvm_state state) noexcept {
  switch (state) {
    case PYRO_KVM_ABSENT:
      return "On a machine of your own: enable virtualization in the firmware and load kvm_intel or kvm_amd; in a "
             "container: pass /dev/kvm in; in a virtual machine: ask for nested virtualization";
    case PYRO_KVM_NO_PERMISSION:
      return "Join the group that owns /dev/kvm (usermod -aG kvm <user>) and log in again";
    case PYRO_KVM_EMULATING:
      return "Use a machine with hardware virtualization if you need its speed";
    default:
      return "";
  }
}

const char* engine_name(pyro_engine engine) noexcept {
  const auto index = static_cast<std::size_t>(engine);
  return index < kEngineNames.size() ? kEngineNames[index] : "unknown";
}

base::Result<pyro_engine> wanted_engine(std::uint32_t option, const std::string& variable) {
  if (option > PYRO_ENGINE_SOFTWARE) {
    return base::make_error(PYRO_ERROR_INVALID, "engine is {}: 0 (auto), 1 (kvm) and 2 (software) are possible",
                            option);
  }
  if (option != PYRO_ENGINE_AUTO || variable.empty()) {
    return static_cast<pyro_engine>(option);
  }
  for (std::size_t i = 0; i < kEngineNames.size(); ++i) {
    if (variable == kEngineNames[i]) {
      return static_cast<pyro_engine>(i);
    }
  }
  return base::make_error(PYRO_ERROR_INVALID, "PYRO_ENGINE is \"{}\": auto, kvm and software are possible", variable);
}

base::Result<EngineChoice> choose_engine(pyro_engine wanted, const KvmProbe& kvm) {
  if (wanted == PYRO_ENGINE_SOFTWARE) {
    return EngineChoice{PYRO_ENGINE_SOFTWARE, "it was asked for"};
  }
  const bool usable = kvm.state == PYRO_KVM_ACCELERATED;
  if (wanted == PYRO_ENGINE_KVM) {
    if (!usable) {
      return base::make_error(PYRO_ERROR_UNSUPPORTED,
                              "engine kvm does not work on this host: {}. Use engine software or auto.", kvm.detail);
    }
    return EngineChoice{PYRO_ENGINE_KVM, "it was asked for"};
  }
  if (usable) {
    return EngineChoice{PYRO_ENGINE_KVM, "/dev/kvm is accelerated"};
  }
  return EngineChoice{PYRO_ENGINE_SOFTWARE, kvm.detail};
}

}  // namespace pyro::client
