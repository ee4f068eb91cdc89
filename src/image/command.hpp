// Running other programs from a worker: Debian's tools do the heavy work.
// Thread rule: one thread per process.
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace pyro::image {

struct Command {
  /// Program (looked up in PATH and the system folders) and arguments.
  std::vector<std::string> argv;
  /// Variables on top of the process's own.
  std::vector<std::pair<std::string, std::string>> env;
  /// Called with each line of stderr, and of stdout unless stdout_fd takes that.
  std::function<void(std::string_view)> on_line;
  /// Takes stdout; borrowed.
  int stdout_fd = -1;
};

/// Runs `command` to its end. A program that is not there is UNSUPPORTED; one that fails is ENVIRONMENT, or LIMIT
/// if the disk was full, with its last lines.
base::Status run_tool(const Command& command);

/// Succeeds if `program` can be found. Errors: UNSUPPORTED, naming the Debian `package` that has it.
base::Status require_tool(const std::string& program, const std::string& package);

/// Forks a child that runs `body`, dies with this process, and exits with what `body` returns.
base::Result<pid_t> fork_child(const std::function<int()>& body);

/// Waits for the end of a child and gives its wait status. A process that is PID 1 also reaps orphans here.
int wait_for_child(pid_t pid);

/// Whether a text is about a full disk, as programs put it.
bool mentions_full_disk(std::string_view text);

}  // namespace pyro::image
