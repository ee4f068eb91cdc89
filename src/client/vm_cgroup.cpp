#include "client/vm_cgroup.hpp"

#include "base/io.hpp"

#include <cerrno>
#include <filesystem>
#include <string_view>

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace pyro::client {

namespace {

constexpr std::string_view kPrefix = "pyro-";
constexpr std::size_t kMaxListBytes = 4096;
// Whoever sweeps is at it for some system calls.
constexpr int kAttempts = 100;
constexpr int kRetryMs = 1;

base::Result<bool> has_cpu(const std::string& parent, const char* file) {
  PYRO_TRY_ASSIGN(std::string names, base::read_file(parent + file, kMaxListBytes));
  while (!names.empty() && names.back() == '\n') {
    names.pop_back();
  }
  return (" " + names + " ").find(" cpu ") != std::string::npos;
}

base::Error cannot_use(const std::string& parent, std::string_view why) {
  return base::make_error(PYRO_ERROR_INVALID,
                          "the cgroup {} cannot be used: {}; name one that is delegated to you and has no processes in "
                          "it (PYRO_CGROUP, docs/limits.md)",
                          parent, why);
}

}  // namespace

base::Status check_cgroup(const std::string& parent) {
  struct statfs system {};
  if (::statfs(parent.c_str(), &system) != 0) {
    return cannot_use(parent, base::errno_text(errno));
  }
  if (system.f_type != CGROUP2_SUPER_MAGIC) {
    return cannot_use(parent, "it is no cgroup of version 2");
  }
  PYRO_TRY_ASSIGN(const bool available, has_cpu(parent, "/cgroup.controllers"));
  if (!available) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "the cgroup {} has no CPU controller: enable it in the cgroups above it "
                            "(cgroup.subtree_control), or leave PYRO_CGROUP out",
                            parent);
  }
  PYRO_TRY_ASSIGN(const bool enabled, has_cpu(parent, "/cgroup.subtree_control"));
  if (enabled) {
    return base::success();
  }
  const base::Fd control(::open((parent + "/cgroup.subtree_control").c_str(), O_WRONLY | O_CLOEXEC));
  constexpr std::string_view kAdd = "+cpu";
  if (!control.valid() || ::write(control.get(), kAdd.data(), kAdd.size()) < 0) {
    return cannot_use(parent, errno == EBUSY ? "processes are in it" : base::errno_text(errno));
  }
  return base::success();
}

base::Result<VmCgroup> VmCgroup::make(const std::string& parent, const std::string& id) {
  VmCgroup cgroup;
  if (parent.empty()) {
    PYRO_TRY_ASSIGN(cgroup.procs_, base::open_file("/dev/null", O_WRONLY));
    return cgroup;
  }
  PYRO_TRY(check_cgroup(parent));
  sweep_cgroups(parent);
  const std::string path = parent + "/" + std::string(kPrefix) + id;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
      return cannot_use(parent, base::errno_text(errno));
    }
    cgroup.directory_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (cgroup.directory_.valid() && ::flock(cgroup.directory_.get(), LOCK_SH | LOCK_NB) == 0) {
      cgroup.procs_.reset(::openat(cgroup.directory_.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
      if (cgroup.procs_.valid()) {
        return cgroup;
      }
    }
    if (errno != ENOENT && errno != ENODEV && errno != EWOULDBLOCK) {
      return cannot_use(parent, base::errno_text(errno));
    }
    // It has just been taken for a left-over.
    ::poll(nullptr, 0, kRetryMs);
  }
  return base::make_error(PYRO_ERROR_TIMEOUT, "the cgroup {} is being removed, and does not go: try again", path);
}

void sweep_cgroups(const std::string& parent) {
  if (parent.empty()) {
    return;
  }
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(parent, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (!entry->path().filename().native().starts_with(kPrefix)) {
      continue;
    }
    const base::Fd directory(::open(entry->path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (directory.valid() && ::flock(directory.get(), LOCK_EX | LOCK_NB) == 0) {
      // With processes in it, it stays.
      ::rmdir(entry->path().c_str());
    }
  }
}

}  // namespace pyro::client
