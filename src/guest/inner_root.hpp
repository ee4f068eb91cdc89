// The file tree that commands see.
// Thread rule: runs in the inner namespace's init, before anything else there.
#pragma once

#include "base/result.hpp"

namespace pyro::guest {

/// Mounts the kernel's file systems, a small /dev and /workspace into the overlay root and makes it the
/// root of this process and its mount namespace; nothing of the agent's own mounts stays in view.
/// The overlay may hold what hostile commands left there: see files.hpp.
base::Status enter_inner_root();

}  // namespace pyro::guest
