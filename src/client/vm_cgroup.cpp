#include "client/vm_cgroup.hpp"

#include "base/io.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
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
constexpr int kRemoveRetryMs = 1;

bool is_cgroup(const std::string& path) noexcept {
  struct statfs system {};
  return ::statfs(path.c_str(), &system) == 0 && system.f_type == CGROUP2_SUPER_MAGIC;
}

// Without the line's end; "" if it cannot be read.
std::string first_line(const std::string& path) {
  const auto text = base::read_file(path, kMaxListBytes);
  return text.ok() ? text->substr(0, text->find('\n')) : std::string();
}

bool has_cpu(const std::string& parent, const char* file) {
  return (" " + first_line(parent + file) + " ").find(" cpu ") != std::string::npos;
}

base::Error cannot_use(const std::string& parent, std::string_view why) {
  return base::make_error(PYRO_ERROR_INVALID,
                          "the cgroup {} cannot be used: {}; name one that is delegated to you and has no processes in "
                          "it (PYRO_CGROUP, docs/limits.md)",
                          parent, why);
}

// The kernel moves a process only for somebody who may write to the list of processes of the cgroup above both its old and
// its new one (cgroups(7), delegation). Nothing if we may, or if our own is not to be seen.
std::optional<std::string> not_delegated(const std::string& parent) {
  namespace fs = std::filesystem;
  std::error_code failure;
  const auto own = base::read_file("/proc/self/cgroup", kMaxListBytes);
  const std::string text = "\n" + (own.ok() ? *own : std::string());
  const auto line = text.find("\n0::/");
  fs::path above = fs::canonical(parent, failure);
  const auto begin = line + std::string_view("\n0::/").size();
  if (line == std::string::npos || text.compare(begin, 2, "..") == 0 || failure) {
    return std::nullopt;
  }
  fs::path mount = above;
  while (is_cgroup(mount.parent_path())) {
    mount = mount.parent_path();
  }
  const fs::path mine = mount / text.substr(begin, text.find('\n', begin) - begin);
  const auto is_above_mine = [&mine](const fs::path& path) {
    return std::mismatch(path.begin(), path.end(), mine.begin(), mine.end()).first == path.end();
  };
  while (!is_above_mine(above)) {
    above = above.parent_path();
  }
  const bool may = ::access((above / "cgroup.procs").c_str(), W_OK) == 0 || (errno != EACCES && errno != EROFS);
  return may ? std::nullopt : std::optional(above.native());
}

base::Status enable_cpu(const std::string& parent) {
  if (has_cpu(parent, "/cgroup.subtree_control")) {
    return base::success();
  }
  const base::Fd control(::open((parent + "/cgroup.subtree_control").c_str(), O_WRONLY | O_CLOEXEC));
  constexpr std::string_view kAdd = "+cpu";
  if (!control.valid() || ::write(control.get(), kAdd.data(), kAdd.size()) < 0) {
    return cannot_use(parent, base::errno_text(errno));
  }
  return base::success();
}

}  // namespace

base::Status check_cgroup(const std::string& parent) {
  if (::access(parent.c_str(), W_OK | X_OK) != 0) {
    return cannot_use(parent, base::errno_text(errno));
  }
  if (!is_cgroup(parent)) {
    return cannot_use(parent, "it is no cgroup of version 2");
  }
  // The uppermost one has no type, and may have processes.
  const std::string type = first_line(parent + "/cgroup.type");
  if (!type.empty() && type != "domain") {
    return cannot_use(parent, "it is threaded");
  }
  if (!type.empty() && !first_line(parent + "/cgroup.procs").empty()) {
    return cannot_use(parent, "processes are in it");
  }
  if (!has_cpu(parent, "/cgroup.subtree_control") &&
      ::access((parent + "/cgroup.subtree_control").c_str(), W_OK) != 0) {
    return cannot_use(parent, base::errno_text(errno));
  }
  if (const auto above = not_delegated(parent)) {
    return cannot_use(parent, fmt::format("the cgroup of this program has to be delegated as well, up to the one above "
                                          "both, {}",
                                          *above));
  }
  if (!has_cpu(parent, "/cgroup.controllers")) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "the cgroup {} has no CPU controller: enable it in the cgroups above it "
                            "(cgroup.subtree_control), or leave PYRO_CGROUP out",
                            parent);
  }
  return base::success();
}

VmCgroup& VmCgroup::operator=(VmCgroup&& other) noexcept {
  release();
  directory_ = std::move(other.directory_);
  procs_ = std::move(other.procs_);
  owner_ = other.owner_;
  return *this;
}

void VmCgroup::release() noexcept {
  if (directory_.valid() && owner_ == ::getpid()) {
    ::flock(directory_.get(), LOCK_UN);
  }
  directory_.reset();
  procs_.reset();
}

base::Result<VmCgroup> VmCgroup::make(const std::string& parent, const std::string& id) {
  VmCgroup cgroup;
  cgroup.owner_ = ::getpid();
  if (parent.empty()) {
    PYRO_TRY_ASSIGN(cgroup.procs_, base::open_file("/dev/null", O_WRONLY));
    return cgroup;
  }
  PYRO_TRY(check_cgroup(parent));
  PYRO_TRY(enable_cpu(parent));
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
    ::poll(nullptr, 0, kRemoveRetryMs);
  }
  return base::make_error(PYRO_ERROR_TIMEOUT, "the cgroup {} is being removed, and does not go: try again", path);
}

void sweep_cgroups(const std::string& parent) {
  if (parent.empty() || !is_cgroup(parent)) {
    return;
  }
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(parent, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string path = entry->path().native();
    // Looking is cheap, and most are in use.
    if (!entry->path().filename().native().starts_with(kPrefix) ||
        first_line(path + "/cgroup.events") != "populated 0") {
      continue;
    }
    const base::Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat locked {};
    struct stat there {};
    // Another one may have removed it meanwhile, and a start made it again: that one is not what is locked.
    if (directory.valid() && ::flock(directory.get(), LOCK_EX | LOCK_NB) == 0 &&
        ::fstat(directory.get(), &locked) == 0 && ::lstat(path.c_str(), &there) == 0 && locked.st_dev == there.st_dev &&
        locked.st_ino == there.st_ino) {
      // With processes in it, it stays.
      ::rmdir(path.c_str());
    }
  }
}

}  // namespace pyro::client
