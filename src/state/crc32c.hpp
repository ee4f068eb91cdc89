// The checksum of what this room frames. It finds damage, not malice.
// Thread rule: a free function.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>

namespace pyro::state {

/// The checksum of iSCSI, ext4 and others (RFC 3720, B.4).
std::uint32_t crc32c(base::ByteView bytes, std::uint32_t seed = 0) noexcept;

}  // namespace pyro::state
