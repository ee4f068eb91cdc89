#include "guest/event_loop.hpp"

#include <array>
#include <cerrno>

#include <sys/epoll.h>

namespace pyro::guest {

Watch::Watch(EventLoop& loop, int fd, Handler handler)
    : loop_(loop), fd_(fd), handler_(std::move(handler)), id_(loop.next_id_++) {
  loop_.watches_.emplace(id_, this);
}

Watch::~Watch() {
  want(0);
  loop_.watches_.erase(id_);
}

void Watch::want(std::uint32_t events) {
  if (events == wanted_) {
    return;
  }
  epoll_event event{};
  event.events = events;
  event.data.u64 = id_;
  const int operation = events == 0 ? EPOLL_CTL_DEL : (wanted_ == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD);
  ::epoll_ctl(loop_.epoll_.get(), operation, fd_, &event);
  wanted_ = events;
}

base::Result<base::Fd> EventLoop::create_epoll() {
  base::Fd fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!fd.valid()) {
    return base::errno_error(errno, "cannot make an epoll descriptor");
  }
  return fd;
}

void EventLoop::run_once(int timeout_ms) {
  std::array<epoll_event, 32> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const auto found = watches_.find(event.data.u64);
    // An earlier handler of this round may have stopped or ended this watch.
    if (found != watches_.end() && found->second->wanted_ != 0) {
      found->second->handler_(event.events);
    }
  }
}

}  // namespace pyro::guest
