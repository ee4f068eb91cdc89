#include "client/poller.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace pyro::client {

namespace {

int add(int epoll, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

base::Error cannot_wait(int reason) {
  return base::errno_error(reason, "cannot prepare an operation");
}

}  // namespace

Watch::~Watch() {
  if (poller_ != nullptr && poller_->is_ours()) {
    ::epoll_ctl(poller_->fd(), EPOLL_CTL_DEL, fd_, nullptr);
  }
}

void Watch::swap(Watch& other) noexcept {
  std::swap(poller_, other.poller_);
  std::swap(fd_, other.fd_);
  std::swap(events_, other.events_);
}

void Watch::want(std::uint32_t events) noexcept {
  if (poller_ == nullptr || events == events_) {
    return;
  }
  epoll_event event{};
  event.events = events;
  event.data.fd = fd_;
  ::epoll_ctl(poller_->fd(), EPOLL_CTL_MOD, fd_, &event);
  events_ = events;
}

Poller::Poller(base::Fd epoll, base::Fd event) noexcept
    : epoll_(std::move(epoll)), event_(std::move(event)), owner_(::getpid()) {}

base::Result<Poller> Poller::make() {
  base::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) {
    return cannot_wait(errno);
  }
  base::Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid() || add(epoll.get(), event.get(), EPOLLIN) != 0) {
    return cannot_wait(errno);
  }
  return Poller(std::move(epoll), std::move(event));
}

bool Poller::is_ours() const noexcept {
  return owner_ == ::getpid();
}

base::Result<Watch> Poller::watch(int fd, std::uint32_t events) const {
  if (add(epoll_.get(), fd, events) != 0) {
    return cannot_wait(errno);
  }
  return Watch(*this, fd, events);
}

void Poller::wake() const noexcept {
  const std::uint64_t one = 1;
  // EAGAIN would mean that 2^64 - 2 wakes are pending: awake all the same.
  [[maybe_unused]] const ssize_t put = ::write(event_.get(), &one, sizeof one);
}

void Poller::rest() const noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
}

base::Status Poller::set_deadline(std::int64_t deadline_ms) {
  if (!timer_.valid()) {
    if (deadline_ms == 0) {
      return base::success();
    }
    timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!timer_.valid() || add(epoll_.get(), timer_.get(), EPOLLIN) != 0) {
      return cannot_wait(errno);
    }
  }
  itimerspec when{};
  when.it_value.tv_sec = deadline_ms / 1000;
  when.it_value.tv_nsec = (deadline_ms % 1000) * 1'000'000;
  if (::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0) {
    return cannot_wait(errno);
  }
  return base::success();
}

bool Poller::wait(std::int64_t timeout_ms) const noexcept {
  epoll_event event{};
  const int bounded = timeout_ms < 0 ? -1 : static_cast<int>(std::min<std::int64_t>(timeout_ms, INT_MAX));
  return ::epoll_wait(epoll_.get(), &event, 1, bounded) > 0;
}

}  // namespace pyro::client
