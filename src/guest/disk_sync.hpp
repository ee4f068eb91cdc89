// DiskSync: has what commands wrote put on the scratch disk before their exits are told, for a disk that outlives the VM.
// Writing out can take seconds, so it happens on a thread of its own, which touches nothing but this object's atomics and
// descriptors and never allocates: the agent forks.
// Thread rule: the agent's thread.
#pragma once

#include "guest/disk_changes.hpp"
#include "guest/event_loop.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace pyro::guest {

class DiskSync {
 public:
  /// For the file system that is mounted at `path`.
  static base::Result<std::unique_ptr<DiskSync>> start(EventLoop& loop, const std::string& path);
  DiskSync(const DiskSync&) = delete;
  DiskSync& operator=(const DiskSync&) = delete;
  /// Waits for what is under way.
  ~DiskSync();

  /// Asks for everything that was written until now, and gives a number for is_done(): at once if nothing was, else the
  /// loop wakes when it is.
  std::uint64_t request();
  [[nodiscard]] bool is_done(std::uint64_t number) const noexcept { return done_ >= number; }
  /// Something could not be written: what commands were told is on the disk may not be.
  [[nodiscard]] bool has_failed() const noexcept { return failed_; }

 private:
  static constexpr std::uint64_t kNeverClean = UINT64_MAX;

  DiskSync(EventLoop& loop, base::Fd file_system, base::Fd wake, base::Fd finished);
  void run() noexcept;
  void watch_changes() noexcept;
  /// Nothing is under way, and nothing has changed since the last that was.
  [[nodiscard]] bool is_clean() const noexcept;

  base::Fd file_system_;
  base::Fd wake_;
  base::Fd finished_;
  std::uint64_t last_ = 0;
  std::atomic<std::uint64_t> requested_{0};
  std::atomic<std::uint64_t> done_{0};
  std::atomic<bool> ending_{false};
  std::atomic<bool> failed_{false};
  /// Of the thread, until clean_count_ is a count. Without it every request is one for the disk.
  std::optional<DiskChanges> changes_;
  /// What changes_ said for kSettledNs and more before a sync that succeeded.
  std::atomic<std::uint64_t> clean_count_{kNeverClean};
  Watch watch_;
  std::thread thread_;
};

}  // namespace pyro::guest
