#include "client/doctor.hpp"

#include "client/environment_store.hpp"
#include "client/home.hpp"
#include "client/programs.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/statvfs.h>
#include <unistd.h>
#include <boost/json.hpp>

namespace pyro::client {

namespace {

namespace json = boost::json;

/// The largest catalogue environment, its download, and a scratch disk in use.
constexpr std::uint64_t kComfortableFreeMib = 3 * 1024;

Check failed(const char* name, const base::Error& error) {
  // Our messages say what is wrong, then what to do.
  auto split = error.message.rfind("; ");
  if (split == std::string::npos) {
    split = error.message.rfind(": ");
  }
  if (split == std::string::npos) {
    return Check{name, PYRO_CHECK_FAILED, error.message, ""};
  }
  return Check{name, PYRO_CHECK_FAILED, error.message.substr(0, split), error.message.substr(split + 2)};
}

}  // namespace

const char* check_status_name(pyro_check_status status) noexcept {
  switch (status) {
    case PYRO_CHECK_OK:
      return "ok";
    case PYRO_CHECK_WARNING:
      return "warning";
    default:
      return "failed";
  }
}

Check check_kvm(const KvmProbe& kvm) {
  const auto status = kvm.state == PYRO_KVM_ACCELERATED ? PYRO_CHECK_OK : PYRO_CHECK_WARNING;
  return Check{"kvm", status, kvm.detail,
               kvm.measured ? kvm_remedy(kvm.state) : "See the check helpers; measure again with pyro doctor"};
}

Check check_engine(const Settings& settings, const KvmProbe& kvm, pyro_engine& picked) {
  picked = PYRO_ENGINE_AUTO;
  const auto wanted = wanted_engine(PYRO_ENGINE_AUTO, settings.engine_variable);
  if (!wanted.ok()) {
    return failed("engine", wanted.error());
  }
  const auto choice = choose_engine(wanted.value(), kvm);
  if (!choice.ok()) {
    return Check{"engine", PYRO_CHECK_FAILED, "PYRO_ENGINE=kvm: " + choice.error().message,
                 "Unset PYRO_ENGINE, or set it to auto or software"};
  }
  if (choice->engine == PYRO_ENGINE_SOFTWARE && !find_qemu(settings).ok()) {
    return Check{"engine", PYRO_CHECK_FAILED, "no engine works: there is no QEMU for the software engine",
                 "See the check qemu"};
  }
  picked = choice->engine;
  const bool asked = wanted.value() != PYRO_ENGINE_AUTO;
  return Check{
      "engine", PYRO_CHECK_OK,
      fmt::format("engine=auto picks {}: {}", engine_name(picked), asked ? "PYRO_ENGINE says so" : choice->why), ""};
}

Check check_qemu(const Settings& settings, pyro_engine picked) {
  const auto path = find_qemu(settings);
  if (!path.ok()) {
    Check check = failed("qemu", path.error());
    // Where KVM works, only those miss it who ask for the software engine.
    check.status = picked == PYRO_ENGINE_KVM ? PYRO_CHECK_WARNING : check.status;
    return check;
  }
  return Check{"qemu", PYRO_CHECK_OK, path.value(), ""};
}

Check check_helpers(const Settings& settings) {
  for (const char* name : {"pyro-vm", "pyro-image", "pyro-agent"}) {
    if (const auto path = find_helper(settings, name); !path.ok()) {
      return failed("helpers", path.error());
    }
  }
  return Check{"helpers", PYRO_CHECK_OK, "pyro-vm, pyro-image and pyro-agent are in " + settings.libexec, ""};
}

Check check_home(const Settings& settings) {
  if (const auto home = ensure_home(settings.home); !home.ok()) {
    return failed("home", home.error());
  }
  if (::access(settings.home.c_str(), W_OK | X_OK) != 0) {
    return Check{"home", PYRO_CHECK_FAILED, fmt::format("{}: {}", settings.home, base::errno_text(errno)),
                 "Set PYRO_HOME to a folder that you can write to"};
  }
  struct statvfs disk {};
  if (::statvfs(settings.home.c_str(), &disk) != 0) {
    return Check{"home", PYRO_CHECK_FAILED, fmt::format("{}: {}", settings.home, base::errno_text(errno)), ""};
  }
  const std::uint64_t free_mib = disk.f_bavail * disk.f_frsize / (1024 * 1024);
  const std::string message = fmt::format("{} ({} MiB free)", settings.home, free_mib);
  if (free_mib < kComfortableFreeMib) {
    return Check{"home", PYRO_CHECK_WARNING, message,
                 fmt::format("Building an environment and running in it may take {} MiB: free some space, or set "
                             "PYRO_HOME to a folder on another disk",
                             kComfortableFreeMib)};
  }
  return Check{"home", PYRO_CHECK_OK, message, ""};
}

std::unique_ptr<OwnedReport> make_report(const Context& context, const KvmProbe& kvm) {
  const Settings& settings = context.settings;
  pyro_engine picked = PYRO_ENGINE_AUTO;
  std::vector<Check> checks;
  checks.push_back(check_kvm(kvm));
  checks.push_back(check_engine(settings, kvm, picked));
  checks.push_back(check_qemu(settings, picked));
  checks.push_back(check_helpers(settings));
  checks.push_back(check_home(settings));
  checks.push_back(check_limits(settings));
  checks.push_back(check_cpu_shares(settings));
  checks.push_back(check_registry(context));
  checks.push_back(check_environment_tools(settings));
  if (::geteuid() != 0) {
    checks.push_back(check_user_namespaces(settings));
  }

  auto report = std::make_unique<OwnedReport>();
  report->engine = static_cast<std::uint32_t>(picked);
  report->kvm_state = static_cast<std::uint32_t>(kvm.state);
  report->healthy =
      std::none_of(checks.begin(), checks.end(), [](const Check& check) { return check.status == PYRO_CHECK_FAILED; });
  json::array rows;
  for (auto& check : checks) {
    rows.push_back({{"name", check.name},
                    {"status", check_status_name(check.status)},
                    {"message", check.message},
                    {"remedy", check.remedy}});
    pyro_check& row = report->rows.emplace_back();
    row.struct_size = sizeof row;
    row.status = static_cast<std::uint32_t>(check.status);
    row.name = check.name;
    row.message = report->keep(std::move(check.message));
    row.remedy = report->keep(std::move(check.remedy));
  }
  report->json_text = json::serialize(json::object{{"healthy", report->healthy != 0},
                                                   {"engine", engine_name(picked)},
                                                   {"kvm", kvm_state_name(kvm.state)},
                                                   {"version", PYRO_VERSION_STRING},
                                                   {"checks", std::move(rows)}});
  report->seal();
  return report;
}

}  // namespace pyro::client
