#include "client/vm_link.hpp"

#include "base/io.hpp"
#include "jail/fd_passing.hpp"

#include <cerrno>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pyro::client {

namespace {

/// Two full data frames: what one read takes, and so what is turned into events at a time.
constexpr std::size_t kReceiveBytes = 64 * 1024;
/// What may wait to be taken in: a command of full size, a window of input, and very many signals.
constexpr std::size_t kMaxBacklogBytes = 4 * 1024 * 1024;

}  // namespace

base::Result<std::unique_ptr<VmLink>> VmLink::start(const std::string& program, const Poller& poller, Bond bond) {
  PYRO_TRY_ASSIGN(base::FdPair sockets, base::make_socket_pair());
  jail::SpawnOptions options;
  options.program = program;
  options.argv = {"pyro-vm"};
  if (bond == Bond::none) {
    options.argv.emplace_back("--detach");
  }
  options.stdio = {sockets.second.get(), -1, -1};
  PYRO_TRY_ASSIGN(auto process, jail::spawn_process(options));
  if (bond == Bond::none) {
    PYRO_TRY_ASSIGN(auto detached, attach(std::move(sockets.first), poller));
    detached->starter_.emplace(std::move(process));
    return detached;
  }
  std::unique_ptr<VmLink> link(new VmLink(std::move(process), std::move(sockets.first)));
  PYRO_TRY(link->watch(poller));
  return link;
}

base::Result<std::unique_ptr<VmLink>> VmLink::attach(base::Fd socket, const Poller& poller) {
  std::unique_ptr<VmLink> link(new VmLink(std::nullopt, std::move(socket)));
  PYRO_TRY(link->watch(poller));
  return link;
}

base::Status VmLink::watch(const Poller& poller) {
  PYRO_TRY_ASSIGN(socket_watch_, poller.watch(socket_.get(), EPOLLIN));
  // The end of file alone would not do: a child that the host forked meanwhile may hold pyro-vm's end of the socket.
  if (process_.has_value() && process_->pidfd() >= 0) {
    PYRO_TRY_ASSIGN(process_watch_, poller.watch(process_->pidfd(), EPOLLIN));
  }
  buffer_.resize(kReceiveBytes);
  return base::success();
}

VmLink::~VmLink() {
  if (owner_ == ::getpid()) {
    shut_down();
  }
}

void VmLink::shut_down() noexcept {
  // A forked child of the host may hold a copy of the socket: closing ours would not end it.
  if (socket_.valid()) {
    ::shutdown(socket_.get(), SHUT_RDWR);
  }
}

base::Status VmLink::send_first(base::ByteView frame, std::span<const int> fds) {
  auto sent = jail::send_with_fds(socket_.get(), frame, fds);
  if (!sent.ok() && (sent.error().sys_errno == EPIPE || sent.error().sys_errno == ECONNRESET)) {
    writable_ = false;
    return base::success();
  }
  return sent;
}

base::Status VmLink::flush(wire::FrameQueue& queue) {
  while (writable_ && !queue.empty()) {
    const base::ByteView bytes = queue.front();
    const ssize_t put = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put >= 0) {
      queue.advance(static_cast<std::size_t>(put));
    } else if (errno == EAGAIN) {
      break;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      // It is gone. What it said last is still to be read.
      writable_ = false;
    } else if (errno != EINTR) {
      return base::errno_error(errno, "cannot write to pyro-vm");
    }
  }
  if (!over_) {
    socket_watch_.want(writable_ && !queue.empty() ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
  if (queue.pending_bytes() > kMaxBacklogBytes) {
    return base::make_error(PYRO_ERROR_INTERNAL, "pyro-vm does not take in what it is sent");
  }
  return base::success();
}

base::Status VmLink::receive(std::vector<wire::Frame>& frames) {
  ssize_t got = read_some();
  bool ended = false;
  if (got < 0 && errno == EAGAIN) {
    if (!process_.has_value() || !process_->wait(0)) {
      return base::success();
    }
    // What it wrote before its end is here by now, if it was not before.
    ended = true;
    got = read_some();
  }
  if (got < 0 && errno != ECONNRESET && !(ended && errno == EAGAIN)) {
    return base::errno_error(errno, "cannot read from pyro-vm");
  }
  if (got <= 0) {
    over_ = true;
    socket_watch_ = Watch();  // End of file would wake for ever.
    return base::success();
  }
  parser_.feed(base::ByteView(buffer_).first(static_cast<std::size_t>(got)));
  while (true) {
    PYRO_TRY_ASSIGN(auto frame, parser_.next());
    if (!frame.has_value()) {
      return base::success();
    }
    frames.push_back(std::move(*frame));
  }
}

ssize_t VmLink::read_some() noexcept {
  ssize_t got = 0;
  do {
    got = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  return got;
}

bool VmLink::has_exited() noexcept {
  if (!process_.has_value() || !process_->wait(0)) {
    return false;
  }
  process_watch_ = Watch();  // The end of a process would wake for ever.
  return true;
}

}  // namespace pyro::client
