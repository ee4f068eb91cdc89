// Descriptors over AF_UNIX stream sockets (SCM_RIGHTS, unix(7)).
#pragma once

#include "base/bytes.hpp"
#include "base/fd.hpp"

#include <span>
#include <vector>

namespace pyro::jail {

/// Most descriptors one message may carry: more than any message of ours needs, less than the kernel's 253.
inline constexpr std::size_t kMaxPassedFds = 16;

/// Sends all of `bytes`, with `fds` attached to the first of them. For a fresh blocking socket or one with room.
base::Status send_with_fds(int socket, base::ByteView bytes, std::span<const int> fds);

/// Receives up to buffer.size() bytes (0: end of file; EAGAIN is an error with that errno) and appends
/// what came with them to `fds`, all CLOEXEC. More descriptors than kMaxPassedFds is an error.
base::Result<std::size_t> receive_with_fds(int socket, std::span<std::byte> buffer, std::vector<base::Fd>& fds);

}  // namespace pyro::jail
