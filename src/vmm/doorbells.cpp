#include "vmm/doorbells.hpp"

#include <array>
#include <cerrno>

#include <sys/epoll.h>

namespace pyro::vmm {

namespace {
// How many are handled in one go, which is all of them at once; more would come with the next call.
constexpr int kBatch = 32;
}  // namespace

base::Result<Doorbells> Doorbells::create() {
  base::Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) {
    return base::errno_error(errno, "cannot make an epoll descriptor");
  }
  return Doorbells(std::move(epoll));
}

base::Status Doorbells::add(int eventfd, std::function<void()> handle) {
  handlers_.push_back(std::move(handle));
  epoll_event event{};
  // Edge-triggered: every signal is an edge, whatever the counter; so nobody need read it back to zero.
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = &handlers_.back();
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, eventfd, &event) != 0) {
    return base::errno_error(errno, "cannot watch a doorbell");
  }
  return base::success();
}

void Doorbells::service(int timeout_ms) {
  std::array<epoll_event, kBatch> events{};
  const int count = ::epoll_wait(epoll_.get(), events.data(), kBatch, timeout_ms);
  for (int i = 0; i < count; ++i) {
    (*static_cast<std::function<void()>*>(events[static_cast<std::size_t>(i)].data.ptr))();
  }
}

}  // namespace pyro::vmm
