// What to hand to execve(): the environment of a command and the files that its name may mean.
// Pure code: no I/O. Thread rule: functions without state.
#pragma once

#include "wire/messages.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pyro::guest {

/// PATH of a command that sets none: Debian's login default for root, which is fine for everybody here.
inline constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the environment has of the account, in this order and first; see command_environment().
inline constexpr std::string_view kAccountVariables[] = {"HOME", "USER", "LOGNAME", "SHELL"};

/// The environment of a command: what a login has, with exec.env on top. The last setting of a name wins, as in env(1).
/// Of kAccountVariables that are not set there, there is the name alone, without "=": to be filled in.
std::vector<std::string> command_environment(const wire::Exec& exec);

/// The value of `name` in `environment`, empty if it is not set.
std::string_view environment_value(const std::vector<std::string>& environment, std::string_view name);

/// The files to try for a command in order, by the rules of a shell: a name with a slash is a path, any other is looked
/// for in PATH (an empty part of PATH is the working directory), an empty one is nothing. Allocates nothing.
class ProgramSearch {
 public:
  enum class Next : std::uint8_t { found, too_long, none };

  /// Both outlive this.
  ProgramSearch(std::string_view command, std::string_view path) noexcept;
  /// Writes the next one, with a NUL behind it, unless it is longer than `file` has room for.
  [[nodiscard]] Next next(std::span<char> file) noexcept;

 private:
  std::string_view command_;
  /// What is left of PATH; with a slash in the command: nothing to put before it.
  std::optional<std::string_view> path_;
  bool is_path_;
};

/// How a shell reports that execve() failed with `sys_errno`: not found (127) or not executable (126).
wire::ExecFailure exec_failure(int sys_errno) noexcept;

/// True if execve() may fail so for one directory of PATH and the search goes on in the next.
bool search_goes_on(int sys_errno) noexcept;

}  // namespace pyro::guest
