// Landlock (landlock(7)): takes the file system, TCP and everybody else's processes away from the calling
// thread and what it starts later. Best effort, one layer of several: older kernels know less of it, or
// nothing. All of it needs no_new_privs or CAP_SYS_ADMIN, adds a layer to those that are in force (a thread
// can have 16), and is async-signal-safe: it may be called between fork() and exec().
#pragma once

#include <string>
#include <vector>

namespace pyro::jail {

/// For a program to be executed: forbids everything except reading and executing what lies below
/// `readable_paths` (those that do not exist are skipped), reading the open files `readable_fds`, and reading
/// and writing /dev/null. True if it is in force, false where the kernel has no Landlock.
bool restrict_file_access(const std::vector<std::string>& readable_paths,
                          const std::vector<int>& readable_fds) noexcept;

/// No signal and no connection by an abstract name to a process that is not started below this thread
/// later on. False where the kernel cannot (before Linux 6.12).
bool forbid_outside_signals() noexcept;

/// No file can be opened, executed, created or removed, none at all; no TCP. What is open stays usable.
/// False where the kernel cannot (before Linux 5.13, or Landlock switched off).
bool forbid_file_system() noexcept;

}  // namespace pyro::jail
