// The checks of what building environments needs. Where environments are there already, what is
// missing for building others is a warning only.
#include "base/io.hpp"
#include "base/search_path.hpp"
#include "client/doctor.hpp"
#include "client/environment_store.hpp"

#include <array>
#include <string_view>

#include <unistd.h>

namespace pyro::client {

namespace {

struct Tool {
  const char* program;
  const char* package;
  bool as_root_too;
};

constexpr std::array<Tool, 5> kTools{{{"mke2fs", "e2fsprogs", true},
                                      {"mmdebstrap", "mmdebstrap", true},
                                      {"mkfs.erofs", "erofs-utils", true},
                                      {"newuidmap", "uidmap", false},
                                      {"newgidmap", "uidmap", false}}};

/// sysctl files hold one number; /etc/passwd and /etc/subuid of large sites stay below this.
constexpr std::size_t kMaxSystemFileBytes = 4u << 20;

pyro_check_status severity(const Settings& settings) {
  return has_environments(settings.home) ? PYRO_CHECK_WARNING : PYRO_CHECK_FAILED;
}

// The number in a sysctl file, or `fallback` if this kernel has no such file.
long sysctl(const char* name, long fallback) {
  const auto text = base::read_file(std::string("/proc/sys/") + name, kMaxSystemFileBytes);
  return text.ok() ? std::strtol(text.value().c_str(), nullptr, 10) : fallback;
}

// The first field of the line of `path` whose third is `uid`. Read by hand: NSS may load code and ask networks.
std::string user_name(const std::string& uid) {
  const auto text = base::read_file("/etc/passwd", kMaxSystemFileBytes);
  std::string_view rest = text.ok() ? std::string_view(text.value()) : std::string_view();
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    const auto first = line.find(':');
    const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second != std::string_view::npos && line.substr(second + 1).substr(0, uid.size() + 1) == uid + ":") {
      return std::string(line.substr(0, first));
    }
  }
  return "";
}

bool has_range(const char* path, const std::string& uid, const std::string& name) {
  const auto text = base::read_file(path, kMaxSystemFileBytes);
  if (!text.ok()) {
    return false;
  }
  const std::string all = "\n" + text.value();
  return all.find("\n" + uid + ":") != std::string::npos ||
         (!name.empty() && all.find("\n" + name + ":") != std::string::npos);
}

}  // namespace

Check check_environment_tools(const Settings& settings) {
  const bool is_root = ::geteuid() == 0;
  std::string missing;
  std::string packages;
  bool scratch = true;
  for (const auto& tool : kTools) {
    if ((is_root && !tool.as_root_too) || !base::find_in_path(settings.search_path, tool.program).empty()) {
      continue;
    }
    scratch = scratch && std::string_view(tool.program) != "mke2fs";
    missing += (missing.empty() ? "" : ", ") + std::string(tool.program);
    if ((" " + packages + " ").find(std::string(" ") + tool.package + " ") == std::string::npos) {
      packages += (packages.empty() ? "" : " ") + std::string(tool.package);
    }
  }
  if (missing.empty()) {
    return Check{"environment-tools", PYRO_CHECK_OK, "everything that building an environment needs is installed", ""};
  }
  // Scratch disks are made by mke2fs even where all environments were imported.
  return Check{"environment-tools", scratch ? severity(settings) : PYRO_CHECK_FAILED,
               "environments cannot be built: missing " + missing,
               "apt install " + packages + ", or import an environment with pyro env import"};
}

Check check_user_namespaces(const Settings& settings) {
  const auto problem = [&settings](std::string message, std::string remedy) {
    return Check{"user-namespaces", severity(settings), "environments cannot be built: " + std::move(message),
                 std::move(remedy)};
  };
  if (sysctl("kernel/unprivileged_userns_clone", 1) == 0) {
    return problem("user namespaces are for root only", "sysctl -w kernel.unprivileged_userns_clone=1");
  }
  if (sysctl("user/max_user_namespaces", 1) == 0) {
    return problem("user namespaces are switched off", "sysctl -w user.max_user_namespaces=10000");
  }
  if (sysctl("kernel/apparmor_restrict_unprivileged_userns", 0) == 1) {
    return problem("AppArmor restricts user namespaces", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
  }
  const std::string uid = std::to_string(::geteuid());
  const std::string name = user_name(uid);
  for (const char* path : {"/etc/subuid", "/etc/subgid"}) {
    if (!has_range(path, uid, name)) {
      const std::string& user = name.empty() ? uid : name;
      return problem(fmt::format("{} gives user {} no range of ids", path, user),
                     "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + user);
    }
  }
  return Check{"user-namespaces", PYRO_CHECK_OK, "user namespaces and ranges of ids are there", ""};
}

}  // namespace pyro::client
