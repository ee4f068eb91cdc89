// Programs in the folders of a search path such as PATH.
#pragma once

#include <string>
#include <string_view>

#include <sys/stat.h>
#include <unistd.h>

namespace pyro::base {

/// Whether `path` is a file that this process may execute.
[[nodiscard]] inline bool is_executable(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

/// Path of an executable in the folders of `search_path`, "" if there is none. Empty and relative folders are passed
/// over: they would make the program depend on the working directory.
[[nodiscard]] inline std::string find_in_path(std::string_view search_path, std::string_view name) {
  while (!search_path.empty()) {
    const auto colon = search_path.find(':');
    const std::string_view folder = search_path.substr(0, colon);
    search_path = colon == std::string_view::npos ? std::string_view() : search_path.substr(colon + 1);
    if (folder.empty() || folder.front() != '/') {
      continue;
    }
    std::string path = std::string(folder) + "/" + std::string(name);
    if (is_executable(path)) {
      return path;
    }
  }
  return "";
}

}  // namespace pyro::base
