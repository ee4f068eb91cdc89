#include "client/settings.hpp"

#include "client/caps.hpp"

#include <cerrno>
#include <cstdlib>

#include <dlfcn.h>
#include <unistd.h>

namespace pyro::client {

namespace {

using base::Result;

// Nothing from the environment is taken in a set-user-id program.
std::string variable(const char* name) {
  const char* value = ::secure_getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

Result<std::string> absolute(const std::string& path) {
  if (path.front() == '/') {
    return path;
  }
  char* current = ::getcwd(nullptr, 0);
  if (current == nullptr) {
    return base::errno_error(errno, "cannot tell the current directory to make " + path + " absolute");
  }
  std::string out = std::string(current) + "/" + path;
  std::free(current);
  return out;
}

Result<std::string> find_home(const char* option) {
  if (option != nullptr) {
    if (*option == '\0') {
      return base::make_error(PYRO_ERROR_INVALID, "home is an empty string: leave it NULL for the default");
    }
    return absolute(option);
  }
  if (const auto home = variable("PYRO_HOME"); !home.empty()) {
    return absolute(home);
  }
  // The XDG base directory specification says to ignore relative paths.
  if (const auto data = variable("XDG_DATA_HOME"); !data.empty() && data.front() == '/') {
    return data + "/pyro";
  }
  if (const auto user = variable("HOME"); !user.empty() && user.front() == '/') {
    return user + "/.local/share/pyro";
  }
  return std::string();
}

// The folder of the file that this code was loaded from: libpyro.so, or a program with libpyro.a in it.
std::string own_folder() {
  Dl_info info{};
  std::string file;
  if (::dladdr(reinterpret_cast<const void*>(&own_folder), &info) != 0 && info.dli_fname != nullptr) {
    file = info.dli_fname;
  }
  // For the program itself the loader repeats argv[0], which may be anything.
  const bool is_path = file.find('/') != std::string::npos;
  char* real = ::realpath(is_path ? file.c_str() : "/proc/self/exe", nullptr);
  if (real == nullptr) {
    return "";
  }
  std::string folder(real);
  std::free(real);
  return folder.substr(0, folder.find_last_of('/'));
}

Result<std::string> find_cgroup(const char* option) {
  if (option != nullptr && *option == '\0') {
    return base::make_error(PYRO_ERROR_INVALID, "cgroup is an empty string: leave it NULL for the default");
  }
  const std::string named = option != nullptr ? option : variable("PYRO_CGROUP");
  return named.empty() ? named : absolute(named);
}

Result<std::string> find_libexec(const char* option) {
  if (option != nullptr) {
    if (*option == '\0') {
      return base::make_error(PYRO_ERROR_INVALID, "libexec is an empty string: leave it NULL for the default");
    }
    return absolute(option);
  }
  if (const auto named = variable("PYRO_LIBEXEC"); !named.empty()) {
    return absolute(named);
  }
  // <prefix>/lib and <prefix>/lib/<triplet> both find <prefix>/libexec/pyro.
  if (const std::string folder = own_folder(); !folder.empty()) {
    for (const char* below : {"/../libexec/pyro", "/../../libexec/pyro"}) {
      const std::string candidate = folder + below;
      if (char* real = ::realpath(candidate.c_str(), nullptr); real != nullptr) {
        std::string found(real);
        std::free(real);
        if (::access((found + "/pyro-vm").c_str(), X_OK) == 0) {
          return found;
        }
      }
    }
  }
  return std::string(PYRO_INSTALLED_LIBEXEC);
}

// A user's PATH often lacks the folders where mke2fs and its like are.
std::string search_path() {
  std::string path = variable("PATH");
  for (const char* folder : {"/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"}) {
    if ((":" + path + ":").find(std::string(":") + folder + ":") == std::string::npos) {
      path += (path.empty() ? "" : ":") + std::string(folder);
    }
  }
  return path;
}

std::vector<std::string> image_env(const std::string& path) {
  std::vector<std::string> env{"PATH=" + path, "LANG=C.UTF-8"};
  for (const char* name :
       {"HOME", "TMPDIR", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}) {
    if (const auto value = variable(name); !value.empty()) {
      env.push_back(std::string(name) + "=" + value);
    }
  }
  return env;
}

}  // namespace

Result<Settings> read_settings(const pyro_open_options& options) {
  Settings settings;
  if (options.log_level > PYRO_LOG_DEBUG) {
    return base::make_error(PYRO_ERROR_INVALID, "log_level is {}: 0 (off) to {} (debug) are possible",
                            options.log_level, static_cast<unsigned>(PYRO_LOG_DEBUG));
  }
  settings.log_level = static_cast<pyro_log_level>(options.log_level);
  PYRO_TRY_ASSIGN(settings.home, find_home(options.home));
  PYRO_TRY_ASSIGN(settings.libexec, find_libexec(options.libexec));
  settings.engine_variable = variable("PYRO_ENGINE");
  settings.search_path = search_path();
  settings.image_env = image_env(settings.search_path);
  PYRO_TRY_ASSIGN(settings.caps, read_caps(options, variable));
  PYRO_TRY_ASSIGN(settings.cgroup, find_cgroup(options.cgroup));
  return settings;
}

}  // namespace pyro::client
