#include "jail/confine.hpp"

#include "base/io.hpp"
#include "jail/privileges.hpp"

#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pyro::jail {

namespace {

// The client's message brings at most 16; a VM of 16 vCPUs with all its eventfds and timers has under 150.
constexpr std::uint64_t kOpenFiles = 256;

#ifdef PYRO_SANITIZED
constexpr bool kLimitAddressSpace = false;
#else
constexpr bool kLimitAddressSpace = true;
#endif

base::Status close_range(unsigned first, unsigned last) {
  if (first > last || ::syscall(SYS_close_range, first, last, 0U) == 0) {
    return base::success();
  }
  return base::errno_error(errno, "cannot close stray descriptors (Linux 5.9 or newer is needed)");
}

base::Status lower(__rlimit_resource resource, std::uint64_t value, const char* what) {
  if (lower_limit(resource, value)) {
    return base::success();
  }
  return base::errno_error(errno, fmt::format("cannot limit the {} of pyro-vm", what));
}

}  // namespace

base::Status close_stray_fds(int keep_fd) {
  const auto keep = static_cast<unsigned>(keep_fd);
  if (keep_fd < 3) {
    return close_range(3, ~0U);
  }
  PYRO_TRY(close_range(3, keep - 1));
  return close_range(keep + 1, ~0U);
}

base::Status limit_resources(const ResourceLimits& limits) {
  PYRO_TRY(lower(RLIMIT_CORE, 0, "core dump"));
  if (limits.open_files != 0) {
    PYRO_TRY(lower(RLIMIT_NOFILE, limits.open_files, "open files"));
  }
  if (limits.no_file_writes || limits.file_size_bytes != 0) {
    PYRO_TRY(lower(RLIMIT_FSIZE, limits.no_file_writes ? 0 : limits.file_size_bytes, "file size"));
  }
  if (kLimitAddressSpace && limits.address_space_bytes != 0) {
    PYRO_TRY(lower(RLIMIT_AS, limits.address_space_bytes, "address space"));
  }
  return base::success();
}

base::Result<base::Fd> open_memory_account() {
  return base::open_file("/proc/self/smaps_rollup", O_RDONLY);
}

base::Status leave_root() {
  drop_bounding_set();
  if (!take_private_user(::getpid())) {
    return base::errno_error(errno, "pyro-vm cannot leave root");
  }
  return base::success();
}

base::Status drop_capabilities() {
  if (!drop_all_capabilities()) {
    return base::errno_error(errno, "pyro-vm cannot drop its capabilities");
  }
  return base::success();
}

base::Status forbid_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return base::errno_error(errno, "pyro-vm cannot forbid itself new privileges");
  }
  return base::success();
}

base::Status forbid_inspection() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return base::errno_error(errno, "pyro-vm cannot make itself non-dumpable");
  }
  return base::success();
}

base::Status join_cgroup(int cgroup_procs) {
  // "0" is the writing process itself (cgroups(7)).
  if (::write(cgroup_procs, "0", 1) == 1) {
    return base::success();
  }
  const int why = errno;
  std::error_code unknown;
  const auto list = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", cgroup_procs), unknown);
  base::Error error = base::errno_error(
      why, fmt::format("the cgroup {} cannot be entered (PYRO_CGROUP, docs/limits.md)", list.parent_path().native()));
  if (error.code != PYRO_ERROR_LIMIT) {
    // Whatever the kernel objects to, the caller named it.
    error.code = PYRO_ERROR_INVALID;
  }
  if (why == EACCES) {
    error.message +=
        "; the cgroup of the program that starts VMs has to be delegated as well, up to the one above both";
  }
  return error;
}

base::Result<EarlyConfinement> confine_early(int keep_fd) {
  EarlyConfinement early;
  PYRO_TRY(close_stray_fds(keep_fd));
  PYRO_TRY(limit_resources({.open_files = kOpenFiles}));
  // One arena for all threads: glibc opens files in /sys and /proc when it manages several, and cannot once
  // they are gone; it is also the least memory.
  ::mallopt(M_ARENA_MAX, 1);
  if (auto account = open_memory_account(); account.ok()) {
    early.memory_account = std::move(account).value();
  } else {
    early.missing.push_back("no account of memory use: " + account.error().message);
  }
  PYRO_TRY(leave_root());
  // A change of user makes a process dumpable or not as fs.suid_dumpable says: so this comes after it.
  PYRO_TRY(forbid_inspection());
  PYRO_TRY(drop_capabilities());
  PYRO_TRY(forbid_new_privileges());
  if (!forbid_outside_signals()) {
    early.missing.emplace_back("Landlock of this kernel cannot confine signals (Linux 6.12 or newer can)");
  }
  return early;
}

base::Result<std::vector<std::string>> confine_process(const ConfineOptions& options) {
  std::vector<std::string> missing;
  PYRO_TRY(limit_resources(options.limits));
  if (!forbid_file_system()) {
    missing.emplace_back("this kernel has no Landlock, or it is switched off");
  }
  return missing;
}

}  // namespace pyro::jail
