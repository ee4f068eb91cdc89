#include "jail/privileges.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pyro::jail {

void drop_bounding_set() noexcept {
  int capability = 0;
  // Ends past the last one that this kernel knows, or at once without CAP_SETPCAP.
  while (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) {
    ++capability;
  }
}

bool take_private_user(pid_t owner) noexcept {
  if (::geteuid() != 0) {
    return true;
  }
  const auto id = static_cast<uid_t>(kPrivateUidBase + static_cast<std::uint32_t>(owner));
  if (::setgroups(0, nullptr) != 0 || ::setresgid(id, id, id) != 0 || ::setresuid(id, id, id) != 0) {
    return errno == EINVAL || errno == EPERM;
  }
  return true;
}

bool drop_all_capabilities() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none{};
  return ::syscall(SYS_capset, &header, none.data()) == 0;
}

bool lower_limit(__rlimit_resource resource, std::uint64_t value) noexcept {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) {
    return false;
  }
  limit.rlim_max = std::min<rlim_t>(limit.rlim_max, value);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_cur, limit.rlim_max);
  return ::setrlimit(resource, &limit) == 0;
}

}  // namespace pyro::jail
