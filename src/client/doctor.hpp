// The checks of pyro_doctor(): what this host can do, and what to do about what it cannot.
// Thread rule: free functions.
#pragma once

#include "client/context.hpp"
#include "client/engine.hpp"
#include "client/event.hpp"

#include <memory>

namespace pyro::client {

struct Check {
  const char* name = "";
  pyro_check_status status = PYRO_CHECK_OK;
  std::string message;
  std::string remedy;
};

/// "ok", "warning", "failed".
const char* check_status_name(pyro_check_status status) noexcept;

/// All checks, given what /dev/kvm is worth. Takes a few milliseconds and starts no process.
std::unique_ptr<OwnedReport> make_report(const Context& context, const KvmProbe& kvm);

// The single checks; stable names in this order: kvm, engine, qemu, helpers, home, limits, registry, environment-tools,
// user-namespaces (the last one not for root).
Check check_kvm(const KvmProbe& kvm);
/// `picked` becomes what engine=auto picks, AUTO if nothing works.
Check check_engine(const Settings& settings, const KvmProbe& kvm, pyro_engine& picked);
Check check_qemu(const Settings& settings, pyro_engine picked);
Check check_helpers(const Settings& settings);
Check check_home(const Settings& settings);
/// The caps for all VMs together, and what is in use.
Check check_limits(const Settings& settings);
Check check_cpu_shares(const Settings& settings);
Check check_registry(const Context& context);
Check check_environment_tools(const Settings& settings);
Check check_user_namespaces(const Settings& settings);

}  // namespace pyro::client
