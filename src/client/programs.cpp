#include "client/programs.hpp"

#include "base/io.hpp"
#include "base/search_path.hpp"

#include <fcntl.h>

namespace pyro::client {

namespace {

constexpr const char* kQemu = "qemu-system-x86_64";

}  // namespace

base::Result<std::string> find_helper(const Settings& settings, const char* name) {
  std::string path = settings.libexec + "/" + name;
  if (!base::is_executable(path)) {
    return base::make_error(
        PYRO_ERROR_UNSUPPORTED,
        "there is no program {}: install libpyro whole, or set PYRO_LIBEXEC to the folder of its helper programs",
        path);
  }
  return path;
}

base::Result<std::string> find_qemu(const Settings& settings) {
  std::string path = base::find_in_path("/usr/bin:/usr/local/bin:" + settings.search_path, kQemu);
  if (path.empty()) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "the software engine needs {}, which is not installed: install the package "
                            "qemu-system-x86",
                            kQemu);
  }
  return path;
}

base::Result<base::Fd> open_engine(const Settings& settings, pyro_engine engine) {
  if (engine == PYRO_ENGINE_KVM) {
    auto kvm = base::open_file("/dev/kvm", O_RDWR);
    if (!kvm.ok()) {
      auto error = std::move(kvm).error();
      error.code = PYRO_ERROR_UNSUPPORTED;
      error.message += "; pyro doctor says what this host can do";
      return error;
    }
    return kvm;
  }
  PYRO_TRY_ASSIGN(const std::string qemu, find_qemu(settings));
  return base::open_file(qemu, O_PATH);
}

}  // namespace pyro::client
