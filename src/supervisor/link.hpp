// Link: frames over one stream socket, towards a client or towards the agent.
// Whatever arrives is parsed and handed on at once; whatever is sent waits in a queue in which control
// overtakes data. A Link never blocks and never closes by itself: it tells its owner.
// Thread rule: everything on the thread that runs the io_context.
#pragma once

#include "base/fd.hpp"
#include "wire/frame.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace pyro::supervisor {

class Link {
 public:
  struct Handlers {
    std::function<void(wire::Frame)> on_frame;
    /// The peer closed ("") or broke the protocol (why); no frame follows. After the latter "" still comes when
    /// the peer closes. What is queued leaves all the same, as long as the peer takes it.
    std::function<void(std::string)> on_end;
  };

  /// `takes_fds`: keep descriptors that come along (take_fds); otherwise they are never received.
  Link(boost::asio::io_context& io, base::Fd socket, bool takes_fds, Handlers handlers);

  void start();
  /// Takes in at once what has arrived already, for the time after the peer's end.
  void drain();
  void send_control(base::Bytes frame);
  void send_data(base::Bytes frame);
  /// Sends at once what the socket takes, instead of with what else the present event makes us say.
  void flush();
  /// Runs `then` as soon as everything queued so far and since is in the socket's buffer; now if it is, never if
  /// the peer is gone.
  void when_sent(std::function<void()> then);
  /// All descriptors received so far.
  [[nodiscard]] std::vector<base::Fd> take_fds() { return std::move(fds_); }
  [[nodiscard]] std::size_t pending_bytes() const noexcept { return queue_.pending_bytes(); }
  [[nodiscard]] std::size_t pending_control_bytes() const noexcept { return queue_.pending_control_bytes(); }

 private:
  void wait_read();
  void wait_write();
  /// At the latest when the handler that runs now is done.
  void flush_soon();
  /// One read, and what is in it handed on. True if there may be more.
  bool read_some();
  void parse(base::ByteView bytes);
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
  bool flush_posted_ = false;
  // For handlers that may run when this Link is gone.
  std::shared_ptr<const bool> exists_ = std::make_shared<const bool>(true);
  // The peer broke the protocol: what it sends is thrown away.
  bool broken_ = false;
  bool read_ended_ = false;
  bool write_ended_ = false;
};

}  // namespace pyro::supervisor
