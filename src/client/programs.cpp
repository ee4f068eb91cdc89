#include "client/programs.hpp"

#include <string_view>

#include <sys/stat.h>
#include <unistd.h>

namespace pyro::client {

namespace {

constexpr const char* kQemu = "qemu-system-x86_64";

bool is_executable(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

base::Result<std::string> find_helper(const Settings& settings, const char* name) {
  std::string path = settings.libexec + "/" + name;
  if (!is_executable(path)) {
    return base::make_error(
        PYRO_ERROR_UNSUPPORTED,
        "there is no program {}: install libpyro whole, or set PYRO_LIBEXEC to the folder of its helper programs",
        path);
  }
  return path;
}

std::string find_in_path(const std::string& search_path, const std::string& name) {
  std::string_view rest = search_path;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const std::string_view folder = rest.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    // Relative folders would depend on where the host happens to stand.
    if (folder.empty() || folder.front() != '/') {
      continue;
    }
    std::string path = std::string(folder) + "/" + name;
    if (is_executable(path)) {
      return path;
    }
  }
  return "";
}

base::Result<std::string> find_qemu(const Settings& settings) {
  std::string path = find_in_path("/usr/bin:/usr/local/bin:" + settings.search_path, kQemu);
  if (path.empty()) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "the software engine needs {}, which is not installed: install the package "
                            "qemu-system-x86",
                            kQemu);
  }
  return path;
}

}  // namespace pyro::client
