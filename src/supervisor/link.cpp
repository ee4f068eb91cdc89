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
// A full data frame; more is not held back to go with what may follow.
constexpr std::size_t kMaxHeldBytes = 32 * 1024;
// More than a socket's buffer holds; a peer that sends on and on is not waited for.
constexpr int kMaxDrainReads = 64;
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
  flush_soon();
}

void Link::send_data(base::Bytes frame) {
  queue_.push_data(std::move(frame));
  flush_soon();
}

void Link::when_sent(std::function<void()> then) {
  when_sent_.push_back(std::move(then));
  flush();
}

void Link::drain() {
  for (int reads = 0; reads < kMaxDrainReads && read_some(); ++reads) {
  }
}

void Link::wait_read() {
  socket_.async_wait(Descriptor::wait_read, [this](const boost::system::error_code& error) {
    // An error means that this Link is gone.
    if (error) {
      return;
    }
    read_some();
    if (!read_ended_) {
      wait_read();
    }
  });
}

bool Link::read_some() {
  if (read_ended_) {
    return false;
  }
  std::size_t size = 0;
  // Of a peer that broke the protocol only the end matters; read() closes what descriptors come along.
  if (takes_fds_ && !broken_) {
    auto got = jail::receive_with_fds(socket_.native_handle(), read_buffer_, fds_);
    if (!got.ok()) {
      const int reason = got.error().sys_errno;
      if (reason == EAGAIN) {
        return false;
      }
      read_ended_ = reason == ECONNRESET;
      broken_ = !read_ended_;
      end(read_ended_ ? std::string() : got.error().message);
      return false;
    }
    size = *got;
  } else {
    const ssize_t got = ::read(socket_.native_handle(), read_buffer_.data(), read_buffer_.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return errno == EINTR;
    }
    size = got < 0 ? 0 : static_cast<std::size_t>(got);
  }
  if (size == 0) {
    read_ended_ = true;
    end({});
    return false;
  }
  parse(base::ByteView(read_buffer_).first(size));
  return true;
}

void Link::parse(base::ByteView bytes) {
  if (broken_) {
    return;
  }
  parser_.feed(bytes);
  while (true) {
    auto frame = parser_.next();
    if (!frame.ok()) {
      broken_ = true;
      return end(frame.error().message);
    }
    if (!frame->has_value()) {
      return;
    }
    handlers_.on_frame(std::move(**frame));
  }
}

void Link::wait_write() {
  if (waiting_to_write_) {
    return;
  }
  waiting_to_write_ = true;
  socket_.async_wait(Descriptor::wait_write, [this](const boost::system::error_code& error) {
    // An error means that this Link is gone.
    if (error) {
      return;
    }
    waiting_to_write_ = false;
    flush();
  });
}

// What one event makes us say leaves in one piece.
void Link::flush_soon() {
  if (queue_.pending_bytes() >= kMaxHeldBytes) {
    return flush();
  }
  if (!std::exchange(flush_posted_, true)) {
    boost::asio::post(socket_.get_executor(), [this, exists = std::weak_ptr(exists_)] {
      if (!exists.expired()) {
        flush_posted_ = false;
        flush();
      }
    });
  }
}

void Link::flush() {
  while (!write_ended_ && !queue_.empty()) {
    const base::ByteView bytes = queue_.front();
    const ssize_t sent = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      queue_.advance(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      return wait_write();
    } else if (errno != EINTR) {
      // A peer that is gone is noticed by reading, after what it still said.
      write_ended_ = true;
    }
  }
  if (write_ended_) {
    queue_ = {};
    return;
  }
  const auto ready = std::exchange(when_sent_, {});
  for (const auto& then : ready) {
    then();
  }
}

void Link::end(std::string why) {
  // Not from within the owner's own call, so that it may destroy what it likes.
  boost::asio::post(socket_.get_executor(), [on_end = handlers_.on_end, why = std::move(why)] { on_end(why); });
}

}  // namespace pyro::supervisor
