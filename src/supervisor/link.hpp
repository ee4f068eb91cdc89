// Link: frames over one stream socket, towards a client or towards the agent.
// Whatever arrives is parsed and handed on at once; whatever is sent waits in a queue in which control
// overtakes data. A Link never blocks and never closes by itself: it tells its owner.
// Thread rule: everything on the thread that runs the io_context.
#pragma once

#include "base/fd.hpp"
#include "wire/frame.hpp"

#include <functional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace pyro::supervisor {

class Link {
 public:
  struct Handlers {
    std::function<void(wire::Frame)> on_frame;
    /// The peer closed ("") or broke the protocol (why). Called once; nothing follows it.
    std::function<void(std::string)> on_end;
  };

  /// `takes_fds`: keep descriptors that come along (take_fds); otherwise they are never received.
  Link(boost::asio::io_context& io, base::Fd socket, bool takes_fds, Handlers handlers);

  void start();
  void send_control(base::Bytes frame);
  void send_data(base::Bytes frame);
  /// Runs `then` as soon as everything queued so far and since is in the socket's buffer; now if it is.
  void when_sent(std::function<void()> then);
  /// All descriptors received so far.
  [[nodiscard]] std::vector<base::Fd> take_fds() { return std::move(fds_); }
  [[nodiscard]] std::size_t pending_bytes() const noexcept { return queue_.pending_bytes(); }

 private:
  void wait_read();
  void wait_write();
  void flush();
  void read_once();
  void end(std::string why);

  boost::asio::posix::stream_descriptor socket_;
  bool takes_fds_;
  Handlers handlers_;
  wire::FrameParser parser_;
  wire::FrameQueue queue_;
  std::vector<base::Fd> fds_;
  std::vector<std::function<void()>> when_sent_;
  base::Bytes read_buffer_;
  bool waiting_to_write_ = false;
  bool ended_ = false;
};

}  // namespace pyro::supervisor
