#include "jail/seccomp.hpp"

#include "jail/seccomp_rules.hpp"

#include <algorithm>
#include <cerrno>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pyro::jail {

namespace {

// Puts a run-time value where the table has a placeholder. False if the program does not have it.
bool fill_in(std::vector<sock_filter>& program, std::uint32_t placeholder, std::uint32_t value) noexcept {
  bool found = false;
  for (sock_filter& line : program) {
    if (line.code == (BPF_JMP | BPF_JEQ | BPF_K) && line.k == placeholder) {
      line.k = value;
      found = true;
    }
  }
  return found;
}

}  // namespace

base::Status install_filter(ThreadKind kind, const FilterOptions& options) {
  const auto generated = filter_program(kind);
  std::vector<sock_filter> program(generated.begin(), generated.end());
  const bool complete = fill_in(program, kOwnProcessPlaceholder, static_cast<std::uint32_t>(::getpid())) &&
                        (kind != ThreadKind::supervisor ||
                         fill_in(program, kEnginePidfdPlaceholder, static_cast<std::uint32_t>(options.engine_pidfd)));
  if (!complete) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the system call filter of this build is broken");
  }
  const sock_fprog description{static_cast<unsigned short>(program.size()), program.data()};
#ifdef PYRO_SECCOMP_ERRNO
  constexpr unsigned long kFlags = SECCOMP_FILTER_FLAG_LOG;
#else
  constexpr unsigned long kFlags = 0;
#endif
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, kFlags, &description) != 0) {
    return base::errno_error(errno, "cannot put a thread under its system call filter");
  }
  return base::success();
}

}  // namespace pyro::jail
