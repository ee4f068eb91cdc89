#include "devices/virtio/rng.hpp"

#include <algorithm>
#include <array>

#include <sys/random.h>

namespace pyro::devices::virtio {

namespace {

constexpr std::array<std::uint16_t, 1> kRngQueueSizes{64};

// getrandom() gives this much in one piece or nothing; it never waits once the host has booted.
constexpr std::size_t kPieceBytes = 256;

// Fills as much as the host gives, and says how much that was.
std::size_t fill(const Buffer& buffer) noexcept {
  std::size_t done = 0;
  while (done < buffer.size) {
    const ssize_t got = ::getrandom(buffer.data + done, std::min(kPieceBytes, buffer.size - done), 0);
    if (got <= 0) {
      break;
    }
    done += static_cast<std::size_t>(got);
  }
  return done;
}

}  // namespace

std::span<const std::uint16_t> Rng::queue_sizes() const noexcept {
  return kRngQueueSizes;
}

void Rng::process_queue(std::uint16_t index) noexcept {
  Queue* queue = transport().queue(index);
  if (queue == nullptr) {
    return;
  }
  serve_queue(*queue, [queue](const Chain& chain) {
    if (chain.readable_bytes() != 0 || chain.writable_bytes() == 0) {
      return queue->set_broken("a request for random bytes without room for them");
    }
    std::size_t filled = 0;
    Chain::walk(chain.writable(), 0, kMaxRandomBytes,
                [&filled](const Buffer& piece, std::size_t) { filled += fill(piece); });
    queue->push(chain, static_cast<std::uint32_t>(filled));
  });
}

}  // namespace pyro::devices::virtio
