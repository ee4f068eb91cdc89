// The home folder of a context ($PYRO_HOME): private to its user, created when first needed.
// Thread rule: free functions; several threads and processes may call them for the same folder.
#pragma once

#include "base/fd.hpp"

#include <string>

namespace pyro::client {

/// Creates `home` (0700) unless it is there, and refuses one that another user owns or may write to:
/// what runs in a VM, and what is read from it, would be theirs. Errors: INVALID, LIMIT.
base::Status ensure_home(const std::string& home);

/// An empty file below `home` without a name: nothing is left behind, however the process ends.
/// Errors: INVALID, LIMIT.
base::Result<base::Fd> make_unnamed_file(const std::string& home);

}  // namespace pyro::client
