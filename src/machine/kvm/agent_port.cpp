#include "machine/kvm/agent_port.hpp"

#include <cerrno>

#include <sys/socket.h>

namespace pyro::machine {

namespace {
using Descriptor = boost::asio::posix::stream_descriptor;
// What a guest can take in one go: its console driver has 64 buffers of a page each.
constexpr std::size_t kReadBytes = 64 * 1024;
}  // namespace

AgentPort::AgentPort(boost::asio::io_context& io, base::Fd socket)
    : socket_(io, socket.release()), buffer_(kReadBytes) {
  socket_.non_blocking(true);
}

void AgentPort::attach(devices::virtio::Console& console) {
  console_ = &console;
  wait_read();
}

std::size_t AgentPort::take(base::ByteView bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && !ended_) {
    const ssize_t sent =
        ::send(socket_.native_handle(), bytes.data() + taken, bytes.size() - taken, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      taken += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN) {
      wait_write();
      return taken;
    } else if (errno != EINTR) {
      ended_ = true;
    }
  }
  // Nobody reads any more: what the guest still says is for nobody.
  return bytes.size();
}

void AgentPort::resume() {
  if (console_ == nullptr) {
    return;
  }
  if (!unsent_.empty()) {
    unsent_ = unsent_.subspan(console_->send(unsent_));
  }
  if (unsent_.empty()) {
    wait_read();
  }
}

void AgentPort::wait_read() {
  if (waiting_to_read_ || ended_) {
    return;
  }
  waiting_to_read_ = true;
  socket_.async_wait(Descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) {
      return;  // aborted: this may be gone
    }
    waiting_to_read_ = false;
    read_once();
  });
}

void AgentPort::read_once() {
  const ssize_t got = ::recv(socket_.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    return wait_read();
  }
  if (got <= 0) {
    ended_ = true;
    return;
  }
  unsent_ = base::ByteView(buffer_).first(static_cast<std::size_t>(got));
  resume();
}

void AgentPort::wait_write() {
  if (waiting_to_write_) {
    return;
  }
  waiting_to_write_ = true;
  socket_.async_wait(Descriptor::wait_write, [this](const boost::system::error_code& error) {
    if (error) {
      return;  // aborted: this may be gone
    }
    waiting_to_write_ = false;
    if (console_ != nullptr) {
      console_->resume_output();
    }
  });
}

}  // namespace pyro::machine
