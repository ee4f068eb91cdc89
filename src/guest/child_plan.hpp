// A command's process from its first instruction to execve(). What can be known before is worked out by the agent; the
// child only makes system calls, because it does so in the agent's own memory (processes.hpp, spawn_into).
// Thread rule: made and kept by the agent's thread; the child reads it beside that.
#pragma once

#include "base/fd.hpp"
#include "guest/accounts.hpp"
#include "guest/exec_plan.hpp"
#include "wire/messages.hpp"

#include <array>
#include <climits>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

namespace pyro::guest {

/// The child's ends. With a terminal, all three are that one.
struct Stdio {
  base::Fd in;
  base::Fd out;
  base::Fd err;
  base::Fd terminal;
};

/// What a child could not do. `interpreter`: the program is there, what its first line names is not.
enum class ChildStep : std::uint8_t {
  streams,
  terminal,
  namespaces,
  user_name,
  group_name,
  user,
  directory,
  program,
  interpreter
};

/// What a child writes to kReportFd, in one piece, before it gives up. Without it: it executed its program.
struct ChildReport {
  ChildStep step{};
  std::int32_t sys_errno = 0;
};

class ChildPlan {
 public:
  /// `inner`: pidfd of the commands' init. The descriptors stay the caller's and must be open when the child starts.
  ChildPlan(wire::Exec exec, const Stdio& stdio, int report, int inner);

  /// The child's body (spawn_into): enter(), then executes the program. `plan` is a ChildPlan.
  static void run(void* plan) noexcept;
  /// Becomes the command's process: descriptors, session, namespaces, user, working directory. `extra`: a descriptor
  /// that is kept as kFileToolFd, -1 for none. Ends the process, with a report, if it cannot.
  void enter(int extra) noexcept;

  [[nodiscard]] const wire::Exec& exec() const noexcept { return exec_; }
  [[nodiscard]] std::span<std::byte> stack() noexcept { return stack_; }

 private:
  void place_descriptors(int extra) const noexcept;
  [[nodiscard]] int adopt_terminal() const noexcept;
  void become_user() noexcept;
  void find_account() noexcept;
  [[noreturn]] void execute() noexcept;

  wire::Exec exec_;
  Account account_;
  std::vector<std::string> environment_;
  /// One free, for a shell, before argv itself.
  std::vector<char*> argv_;
  std::vector<char*> environment_pointers_;
  int in_;
  int out_;
  int err_;
  int report_;
  int inner_;
  int terminal_;
  std::string terminal_path_;
  dev_t terminal_device_ = 0;
  ino_t terminal_inode_ = 0;
  std::array<FixedText<kMaxAccountTextBytes + 8>, std::size(kAccountVariables)> account_variables_;
  std::array<char, PATH_MAX> file_;
  // A line of passwd or group that is longer is passed over.
  std::array<char, 32 * 1024> read_buffer_;
  // Plain calls of system calls, a few frames deep.
  alignas(16) std::array<std::byte, 16 * 1024> stack_;
};

}  // namespace pyro::guest
