// Runs a piece of code in a forked child, confined like pyro-vm, and tells how that ended.
#pragma once

#include "jail/confine.hpp"
#include "jail/seccomp.hpp"

#include <cerrno>
#include <csignal>
#include <functional>
#include <string>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pyro::jail {

/// How a child ended.
struct Ending {
  int exit_code = -1;
  int signal = 0;
  [[nodiscard]] bool denied() const { return signal == SIGSYS || exit_code == EPERM || exit_code == EACCES; }
};

inline std::string text(const Ending& ending) {
  return ending.signal != 0 ? "signal " + std::to_string(ending.signal)
                            : "exit code " + std::to_string(ending.exit_code);
}

// Beyond every errno.
inline constexpr int kCannotConfine = 200;

/// Runs `act` in a child; what it returns becomes the exit code.
inline Ending in_child(const std::function<int()>& act) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::signal(SIGABRT, SIG_DFL);  // not doctest's
    ::alarm(20);                 // whatever hangs, ends
    ::_exit(act());
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  Ending ending;
  if (WIFSIGNALED(status)) {
    ending.signal = WTERMSIG(status);
  } else {
    ending.exit_code = WEXITSTATUS(status);
  }
  return ending;
}

/// Both stages, without a filter. False if one failed.
inline bool confine_like_pyro_vm() {
  return confine_early(-1).ok() && confine_process({.limits = {.no_file_writes = true}}).ok();
}

/// Runs `act` in a child that is confined like a thread of that kind.
inline Ending confined(ThreadKind kind, const std::function<int()>& act, const FilterOptions& options = {}) {
  return in_child(
      [&] { return confine_like_pyro_vm() && install_filter(kind, options).ok() ? act() : kCannotConfine; });
}

}  // namespace pyro::jail
