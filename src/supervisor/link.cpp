#include "supervisor/link.hpp"

#include "jail/fd_passing.hpp"

#include <cerrno>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/post.hpp>

namespace pyro::supervisor {

namespace {
using Descriptor = boost::asio::posix::stream_descriptor;
// Two full data frames a read.
constexpr std::size_t kReadBytes = 64 * 1024;
}  // namespace

Link::Link(boost::asio::io_context& io, base::Fd socket, bool takes_fds, Handlers handlers)
    : socket_(io, socket.release()), takes_fds_(takes_fds), handlers_(std::move(handlers)), read_buffer_(kReadBytes) {
  socket_.non_blocking(true);
}

void Link::start() {
  wait_read();
}

void Link::send_control(base::Bytes frame) {
  queue_.push_control(std::move(frame));
  flush();
}

void Link::send_data(base::Bytes frame) {
  queue_.push_data(std::move(frame));
  flush();
}

void Link::when_sent(std::function<void()> then) {
  when_sent_.push_back(std::move(then));
  flush();
}

void Link::wait_read() {
  socket_.async_wait(Descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (!error && !ended_) {
      read_once();
    }
  });
}

void Link::read_once() {
  std::size_t size = 0;
  if (takes_fds_) {
    auto got = jail::receive_with_fds(socket_.native_handle(), read_buffer_, fds_);
    if (!got.ok()) {
      const int reason = got.error().sys_errno;
      return reason == EAGAIN ? wait_read() : end(reason == ECONNRESET ? std::string() : got.error().message);
    }
    size = *got;
  } else {
    const ssize_t got = ::read(socket_.native_handle(), read_buffer_.data(), read_buffer_.size());
    if (got < 0) {
      return errno == EAGAIN || errno == EINTR ? wait_read() : end({});
    }
    size = static_cast<std::size_t>(got);
  }
  if (size == 0) {
    return end({});
  }
  parser_.feed(base::ByteView(read_buffer_).first(size));
  while (!ended_) {
    auto frame = parser_.next();
    if (!frame.ok()) {
      return end(frame.error().message);
    }
    if (!frame->has_value()) {
      break;
    }
    handlers_.on_frame(std::move(**frame));
  }
  if (!ended_) {
    wait_read();
  }
}

void Link::wait_write() {
  if (waiting_to_write_ || ended_) {
    return;
  }
  waiting_to_write_ = true;
  socket_.async_wait(Descriptor::wait_write, [this](const boost::system::error_code& error) {
    waiting_to_write_ = false;
    if (!error && !ended_) {
      flush();
    }
  });
}

void Link::flush() {
  while (!ended_ && !queue_.empty()) {
    const base::ByteView bytes = queue_.front();
    const ssize_t sent = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      // A peer that is gone is noticed by reading, after what it still said.
      if (errno == EAGAIN || errno == EINTR) {
        wait_write();
      }
      return;
    }
    queue_.advance(static_cast<std::size_t>(sent));
  }
  const auto ready = std::exchange(when_sent_, {});
  for (const auto& then : ready) {
    then();
  }
}

void Link::end(std::string why) {
  ended_ = true;
  // Not from within the owner's own call, so that it may destroy what it likes.
  boost::asio::post(socket_.get_executor(), [on_end = handlers_.on_end, why = std::move(why)] { on_end(why); });
}

}  // namespace pyro::supervisor
