// DiskChanges: counts what may have changed a file system, so that nothing need be written out when nothing has.
// Thread rule: count() by any thread.
#pragma once

#include "base/fd.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace pyro::guest {

/// The kernel counts, in memory that it shares with this object. It does so for all ext4 file systems together: more
/// is counted than has changed, never less; but for contents that are written past the page cache (O_DIRECT): of those
/// only what they do to the file's time is seen, so none but the first in a tick of the kernel's clock.
class DiskChanges {
 public:
  /// Nothing where the kernel has no BPF or not the tracepoints that this needs. Allocates nothing. Takes
  /// 50 million instructions: the kernel reads its own type information for its first BPF program.
  static std::optional<DiskChanges> watch() noexcept;
  DiskChanges(DiskChanges&& other) noexcept;
  DiskChanges& operator=(DiskChanges&&) = delete;
  ~DiskChanges();

  /// Grows before a change becomes one: if it had not grown for kSettledNs before a sync was asked for, nor has since, and
  /// the sync has succeeded, the disk has everything.
  [[nodiscard]] std::uint64_t count() const noexcept { return count_->load(std::memory_order_acquire); }

  /// What was counted is a change that a sync finds by then, even if the processor that makes it is stolen in between; and
  /// a file's time is another one: the kernel's clock ticks every 10 ms at least.
  static constexpr std::int64_t kSettledNs = 100'000'000;

 private:
  static constexpr std::size_t kTracepoints = 3;

  DiskChanges(std::atomic<std::uint64_t>* count, std::array<base::Fd, kTracepoints> links) noexcept
      : count_(count), links_(std::move(links)) {}

  std::atomic<std::uint64_t>* count_;
  std::array<base::Fd, kTracepoints> links_;
};

}  // namespace pyro::guest
