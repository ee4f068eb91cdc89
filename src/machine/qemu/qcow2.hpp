// An empty qcow2 image: the private delta over a shared base image.
#pragma once

#include "base/result.hpp"

#include <cstdint>

namespace pyro::machine {

/// Writes an empty qcow2 (version 3, 64 KiB clusters) of `size_bytes` into the empty file `fd`. The
/// base image is not named in it: it is given to QEMU by descriptor.
base::Status write_empty_qcow2(int fd, std::uint64_t size_bytes);

}  // namespace pyro::machine
