// One descriptor chain, resolved: buffers that the device reads, then buffers that it writes, all of them checked to
// lie in guest memory. Reused from request to request, so that serving one allocates nothing.
// Thread rule: as its Queue.
#pragma once

#include "base/bytes.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace pyro::devices::virtio {

/// One buffer of a chain; never empty. Those for reading may lie in memory that is mapped read-only.
struct Buffer {
  std::uint64_t gpa = 0;
  std::byte* data = nullptr;
  std::size_t size = 0;
};

class Chain {
 public:
  /// The descriptor that the chain begins with, which names it in the used ring.
  [[nodiscard]] std::uint16_t head() const noexcept { return head_; }
  [[nodiscard]] std::span<const Buffer> readable() const noexcept { return std::span(buffers_).first(readable_count_); }
  [[nodiscard]] std::span<const Buffer> writable() const noexcept {
    return std::span(buffers_).subspan(readable_count_);
  }
  /// Sums over the buffers; each fits 32 bits (2.7.4).
  [[nodiscard]] std::uint64_t readable_bytes() const noexcept { return readable_bytes_; }
  [[nodiscard]] std::uint64_t writable_bytes() const noexcept { return writable_bytes_; }

  /// Copies what the driver wrote, from `offset` on: as many bytes as there are and fit.
  std::size_t copy_out(std::uint64_t offset, std::span<std::byte> to) const noexcept {
    return walk(readable(), offset, to.size(), [&to](const Buffer& piece, std::size_t done) {
      std::memcpy(to.data() + done, piece.data, piece.size);
    });
  }
  /// Copies to what the driver will read, from `offset` on: as many bytes as fit.
  std::size_t copy_in(std::uint64_t offset, base::ByteView from) const noexcept {
    return walk(writable(), offset, from.size(), [&from](const Buffer& piece, std::size_t done) {
      std::memcpy(piece.data, from.data() + done, piece.size);
    });
  }
  /// Calls `visit(piece, bytes before it)` for each stretch of [offset, offset + size) of `buffers`, and gives
  /// the bytes visited.
  template <typename Visit>
  static std::size_t walk(std::span<const Buffer> buffers, std::uint64_t offset, std::uint64_t size, Visit visit) {
    std::size_t done = 0;
    for (const Buffer& buffer : buffers) {
      if (offset >= buffer.size) {
        offset -= buffer.size;
        continue;
      }
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size - offset, size - done));
      if (take == 0) {
        break;
      }
      visit(Buffer{buffer.gpa + offset, buffer.data + offset, take}, done);
      done += take;
      offset = 0;
    }
    return done;
  }

 private:
  friend class Queue;
  std::vector<Buffer> buffers_;
  std::size_t readable_count_ = 0;
  std::uint64_t readable_bytes_ = 0;
  std::uint64_t writable_bytes_ = 0;
  std::uint16_t head_ = 0;
};

}  // namespace pyro::devices::virtio
