#include "client/file_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace pyro::client {

FileLock::FileLock(base::Fd file) noexcept : file_(std::move(file)), owner_(::getpid()) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  release();
  file_ = std::move(other.file_);
  owner_ = other.owner_;
  return *this;
}

void FileLock::release() noexcept {
  struct flock all {};
  all.l_type = F_UNLCK;
  all.l_whence = SEEK_SET;
  if (file_.valid() && owner_ == ::getpid()) {
    ::fcntl(file_.get(), F_OFD_SETLK, &all);
  }
  file_.reset();
}

}  // namespace pyro::client
