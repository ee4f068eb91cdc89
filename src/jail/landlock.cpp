#include "jail/landlock.hpp"

#include <cstdint>

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pyro::jail {

namespace {

// Rights of later ABIs than the headers of this build know, from the kernel's uapi (landlock(7)).
constexpr std::uint64_t kAccessRefer = 1ULL << 13;       // ABI 2
constexpr std::uint64_t kAccessTruncate = 1ULL << 14;    // ABI 3
constexpr std::uint64_t kAccessIoctlDev = 1ULL << 15;    // ABI 5
constexpr std::uint64_t kNetBindTcp = 1ULL << 0;         // ABI 4
constexpr std::uint64_t kNetConnectTcp = 1ULL << 1;      // ABI 4
constexpr std::uint64_t kScopeAbstractUnix = 1ULL << 0;  // ABI 6
constexpr std::uint64_t kScopeSignal = 1ULL << 1;        // ABI 6

// landlock_ruleset_attr as it has grown; a kernel is told the size that its ABI knows.
struct RulesetAttributes {
  std::uint64_t handled_access_fs = 0;
  std::uint64_t handled_access_net = 0;
  std::uint64_t scoped = 0;
};

constexpr std::size_t attributes_size(long abi) noexcept {
  return (abi >= 6 ? 3 : abi >= 4 ? 2 : 1) * sizeof(std::uint64_t);
}

// 0 or less: no Landlock.
long probe_abi() noexcept {
  return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

int create_ruleset(const RulesetAttributes& attributes, long abi) noexcept {
  return static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, attributes_size(abi), 0));
}

// Puts the calling thread under the ruleset, and closes that.
bool enforce(int ruleset) noexcept {
  const bool done = ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
  ::close(ruleset);
  return done;
}

std::uint64_t handled_rights(long abi) noexcept {
  std::uint64_t rights = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1;  // everything that ABI 1 knows
  if (abi >= 2) {
    rights |= kAccessRefer;
  }
  if (abi >= 3) {
    rights |= kAccessTruncate;
  }
  if (abi >= 5) {
    rights |= kAccessIoctlDev;
  }
  return rights;
}

void allow(int ruleset, int fd, std::uint64_t rights) noexcept {
  const landlock_path_beneath_attr rule{rights, fd};
  // A rule that cannot be added leaves the file forbidden: the safe side.
  ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

void allow_path(int ruleset, const char* path, std::uint64_t rights) noexcept {
  const int fd = ::open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) {
    return;
  }
  struct stat info {};
  if (::fstat(fd, &info) == 0 && !S_ISDIR(info.st_mode)) {
    rights &= ~static_cast<std::uint64_t>(LANDLOCK_ACCESS_FS_READ_DIR);
  }
  allow(ruleset, fd, rights);
  ::close(fd);
}

// Everything on file systems, TCP, and whatever reaches outside.
RulesetAttributes everything(long abi) noexcept {
  return {handled_rights(abi), kNetBindTcp | kNetConnectTcp, kScopeAbstractUnix | kScopeSignal};
}

}  // namespace

bool restrict_file_access(const std::vector<std::string>& readable_paths,
                          const std::vector<int>& readable_fds) noexcept {
  const long abi = probe_abi();
  const int ruleset = abi < 1 ? -1 : create_ruleset(everything(abi), abi);
  if (ruleset < 0) {
    return false;
  }
  for (const auto& path : readable_paths) {
    allow_path(ruleset, path.c_str(),
               LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE);
  }
  for (const int fd : readable_fds) {
    allow(ruleset, fd, LANDLOCK_ACCESS_FS_READ_FILE);
  }
  allow_path(ruleset, "/dev/null", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
  return enforce(ruleset);
}

bool forbid_outside_signals() noexcept {
  const long abi = probe_abi();
  const int ruleset = abi < 6 ? -1 : create_ruleset({0, 0, kScopeAbstractUnix | kScopeSignal}, abi);
  return ruleset >= 0 && enforce(ruleset);
}

bool forbid_file_system() noexcept {
  const long abi = probe_abi();
  // Without a scope of its own: the engine that was started before is to be within reach.
  const int ruleset = abi < 1 ? -1 : create_ruleset({handled_rights(abi), kNetBindTcp | kNetConnectTcp, 0}, abi);
  return ruleset >= 0 && enforce(ruleset);
}

}  // namespace pyro::jail
