// What a context was opened with: options, else environment variables, else defaults. All of it is
// read once, in pyro_open(): a host may change its environment from another thread later.
// Thread rule: immutable after reading.
#pragma once

#include "base/result.hpp"

#include <string>
#include <vector>

namespace pyro::client {

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
};

/// Errors: INVALID.
base::Result<Settings> read_settings(const pyro_open_options& options);

}  // namespace pyro::client
