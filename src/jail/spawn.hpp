// Starts the helper programs (pyro-vm, pyro-image) from inside a host program: posix_spawn, because a
// host of many gigabytes must not be forked; a new session, default signals, and no descriptor but
// three. Ends are learned by pidfd only: the host may reap children that are not its own, or ignore
// SIGCHLD, and nothing here minds.
// Thread rule: a Process belongs to one thread at a time; spawn_process() may be called from any.
#pragma once

#include "base/fd.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace pyro::jail {

struct SpawnOptions {
  /// Absolute path of the program.
  std::string program;
  std::vector<std::string> argv;
  /// "NAME=value"; the child gets nothing else.
  std::vector<std::string> env;
  /// Descriptors that become 0, 1 and 2 of the child; -1: /dev/null. Stay owned by the caller.
  std::array<int, 3> stdio{-1, -1, -1};
};

/// A started helper. Its destructor ends it: waits kGraceMs for it to go by itself, then kills, then
/// reaps. In a forked child of the process that started it, the destructor only closes the pidfd.
class Process {
 public:
  /// A helper whose input was closed has this long to end what it started before it is killed.
  static constexpr int kGraceMs = 2000;

  Process(pid_t pid, base::Fd pidfd) noexcept;
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  /// Readable once the process has ended; -1 if it had ended before it could be watched.
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// True in the process that started it, false in a forked child of that.
  [[nodiscard]] bool is_ours() const noexcept;
  /// Waits up to `timeout_ms` (-1: no limit) for the end, signals or not. True once it has ended.
  bool wait(int timeout_ms) noexcept;
  void kill() noexcept;
  /// How it ended, in words such as "was killed by signal 9". Call after wait() gave true.
  [[nodiscard]] std::string describe_end();

 private:
  void reap() noexcept;

  pid_t pid_;
  pid_t owner_;
  base::Fd pidfd_;
  bool reaped_ = false;
  /// From waitid(); not known if somebody else reaped it.
  std::optional<int> exit_code_;
  std::optional<int> term_signal_;
};

/// A descriptor for a process, readable once it has ended. Errors: INTERNAL with errno ESRCH if there is none.
base::Result<base::Fd> open_pidfd(pid_t pid);

/// Starts a program in directory "/". Errors: NOT_FOUND if there is no such program, LIMIT, INTERNAL.
base::Result<Process> spawn_process(const SpawnOptions& options);

}  // namespace pyro::jail
