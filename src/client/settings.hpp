// What a context was opened with: options, else environment variables, else defaults. All of it is
// read once, in pyro_open(): a host may change its environment from another thread later.
// Thread rule: immutable after reading.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace pyro::client {

/// For all VMs of a home folder together (vm_slots.hpp).
struct Caps {
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  std::uint64_t max_vms = kNone;
  std::uint64_t max_mem_mib = kNone;
  /// 0: by the size of the disk.
  std::uint64_t disk_reserve_mib = 0;
  double mem_overcommit = 1;
};

struct Settings {
  pyro_log_level log_level = PYRO_LOG_OFF;
  /// Absolute path; "" if neither an option nor HOME, XDG_DATA_HOME or PYRO_HOME tells one.
  std::string home;
  /// Folder of the helper programs. Absolute path; they may be missing there.
  std::string libexec;
  /// PYRO_ENGINE, or "".
  std::string engine_variable;
  /// Where programs are looked for, as in PATH.
  std::string search_path;
  /// The whole environment that pyro-image gets.
  std::vector<std::string> image_env;
  Caps caps = {};
  /// Absolute path of the cgroup that VMs get theirs below, or "".
  std::string cgroup = {};
};

/// Errors: INVALID.
base::Result<Settings> read_settings(const pyro_open_options& options);

}  // namespace pyro::client
