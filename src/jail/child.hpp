// Starts the software engine below the supervisor: a child that inherits exactly the descriptors it
// is given, dies with the thread that started it, and has lost every privilege before its exec.
// Thread rule: call from the main thread only; the parent-death signal follows the calling thread.
#pragma once

#include "base/fd.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace pyro::jail {

/// What a child may have at most. 0 leaves a limit alone.
struct ChildLimits {
  std::uint64_t address_space_bytes = 0;
  std::uint64_t file_size_bytes = 0;
  std::uint64_t open_files = 0;
};

struct ChildOptions {
  /// The program (O_PATH suffices), executed by descriptor so that no path can be swapped below us.
  int program = -1;
  std::vector<std::string> argv;
  /// "NAME=value"; the child gets nothing else.
  std::vector<std::string> env;
  /// {descriptor here, its number in the child}. 0 to 2 are /dev/null unless named.
  std::vector<std::pair<int, int>> fds;
  ChildLimits limits;
  /// Folders and files that the child may read, where Landlock is available.
  std::vector<std::string> readable_paths;
  /// Those of the child's descriptors (its numbers) that it may open again by /proc/self/fd for reading.
  std::vector<int> readable_fds;
  /// Those of them which the child's process is to hold a lock of (POSIX, for reading), and how many bytes from where the
  /// file is at (0: to its end): locks of this process end with it, not with the child.
  std::vector<std::pair<int, off_t>> locked_fds;
};

/// A started child. Destroying it kills and reaps the child.
class Child {
 public:
  Child(pid_t pid, base::Fd pidfd) noexcept : pid_(pid), pidfd_(std::move(pidfd)) {}
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&&) = delete;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  /// Readable once the child has ended.
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
  [[nodiscard]] base::Result<base::Fd> duplicate_pidfd() const { return pidfd_.duplicate(); }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// CPU time that the child has used, in milliseconds; -1 if that cannot be told.
  [[nodiscard]] std::int64_t cpu_time_ms() const noexcept;
  /// How it ended, in words: "exited with code 1", "was killed by signal 9". Reaps; call when pidfd is readable.
  [[nodiscard]] std::string describe_end();

 private:
  pid_t pid_;
  base::Fd pidfd_;
};

/// Starts a child. An error says which step of the way to the program failed.
base::Result<Child> start_child(const ChildOptions& options);

}  // namespace pyro::jail
