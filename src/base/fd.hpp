// Fd: the one owner of a file descriptor. Every descriptor in this project is CLOEXEC;
// what a child is to inherit is named when it is spawned (jail/spawn.hpp).
// Thread rule: an Fd belongs to one thread at a time.
#pragma once

#include "base/result.hpp"

#include <utility>

namespace pyro::base {

class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset(other.release());
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  /// The descriptor, or -1 if this owns none.
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }
  /// Gives up ownership.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes what is owned and takes `fd` (-1: nothing). Keeps errno.
  void reset(int fd = -1) noexcept;
  /// A CLOEXEC copy of the descriptor.
  [[nodiscard]] Result<Fd> duplicate() const;

 private:
  int fd_ = -1;
};

/// A CLOEXEC copy of a descriptor that somebody else owns.
Result<Fd> duplicate_fd(int fd);

/// Two ends of something, both CLOEXEC.
struct FdPair {
  Fd first;
  Fd second;
};

/// A pipe: first is read, second is written.
Result<FdPair> make_pipe();
/// A connected pair of AF_UNIX stream sockets.
Result<FdPair> make_socket_pair();
/// An anonymous file in memory, named `name` in /proc only.
Result<Fd> make_memfd(const char* name);
Status set_nonblocking(int fd);

}  // namespace pyro::base
