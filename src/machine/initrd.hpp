// The initial file system of a guest: the environment's modules and this build's agent.
#pragma once

#include "vmm/kernel_image.hpp"

#include <vector>

namespace pyro::machine {

/// The cpio archive `modules` (uncompressed), followed by one that holds `agent` as /init. The kernel unpacks concatenated
/// archives one after the other (Documentation/driver-api/early-userspace/buffer-format.rst).
base::Result<std::vector<vmm::InitrdPart>> initrd_parts(base::Fd modules, base::Fd agent);
/// The same as one file in memory.
base::Result<base::Fd> make_initrd(base::Fd modules, base::Fd agent);

}  // namespace pyro::machine
