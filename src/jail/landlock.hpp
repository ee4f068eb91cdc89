// Landlock (landlock(7)): takes the file system away from the calling thread and its children.
#pragma once

#include "base/result.hpp"

#include <string>
#include <vector>

namespace pyro::jail {

/// Forbids the calling thread everything on file systems except reading and executing what lies below
/// `readable_paths` (those that do not exist are skipped), reading the open files `readable_fds`, and
/// reading and writing /dev/null. Needs no_new_privs. True if it is in force, false where the kernel has no Landlock: best
/// effort, one layer of several. Async-signal-safe: may be called between fork() and exec().
bool restrict_file_access(const std::vector<std::string>& readable_paths,
                          const std::vector<int>& readable_fds) noexcept;

}  // namespace pyro::jail
