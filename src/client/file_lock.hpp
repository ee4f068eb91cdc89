// A lock of an open file (OFD, fcntl(2)) that is given up with this object, by unlocking: closing would not do, since a
// child that the host forked meanwhile has the descriptor as well. In a forked child it only closes.
// Thread rule: an object belongs to one thread at a time.
#pragma once

#include "base/fd.hpp"

#include <sys/types.h>

namespace pyro::client {

class FileLock {
 public:
  FileLock() = default;
  /// `file` has the lock.
  explicit FileLock(base::Fd file) noexcept;
  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock() { release(); }

  [[nodiscard]] bool valid() const noexcept { return file_.valid(); }
  [[nodiscard]] int fd() const noexcept { return file_.get(); }
  void release() noexcept;

 private:
  base::Fd file_;
  pid_t owner_ = 0;
};

}  // namespace pyro::client
