// Locks between processes: flock(2) on files that are never removed. The kernel releases them when their holder dies.
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"
#include "image/report.hpp"

#include <optional>
#include <string>

#include <sys/types.h>

namespace pyro::image {

enum class LockKind { shared, exclusive };

/// A held lock; released with the object.
class FileLock {
 public:
  /// Waits for the lock. If that takes a while, `report` says for whom. `holder` is the process to name to others.
  static base::Result<FileLock> acquire(const std::string& path, LockKind kind, pid_t holder, Report& report);
  /// The lock, or nothing if another process has it.
  static base::Result<std::optional<FileLock>> try_acquire(const std::string& path, LockKind kind);

 private:
  explicit FileLock(base::Fd fd) noexcept : fd_(std::move(fd)) {}
  base::Fd fd_;
};

}  // namespace pyro::image
