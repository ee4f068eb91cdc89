// The initial file system of a guest: the environment's modules and this build's agent.
#pragma once

#include "base/fd.hpp"

namespace pyro::machine {

/// A file in memory: the cpio archive `modules` (uncompressed), followed by one that holds `agent` as
/// /init. The kernel unpacks concatenated archives one after the other
/// (Documentation/driver-api/early-userspace/buffer-format.rst).
base::Result<base::Fd> make_initrd(int modules, int agent);

}  // namespace pyro::machine
