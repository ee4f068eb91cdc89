// AgentPort: carries bytes between the guest's console port and a socket, whose other end the supervisor
// reads and writes as it would QEMU's. Each side stops the other when it cannot take more.
// Thread rule: everything on the thread that runs the io_context, which is also the console device's worker.
#pragma once

#include "base/bytes.hpp"
#include "base/fd.hpp"
#include "devices/virtio/console.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace pyro::machine {

class AgentPort {
 public:
  /// `socket` is this side's end.
  AgentPort(boost::asio::io_context& io, base::Fd socket);

  /// The device: what the guest sends goes to take(), and resume() is called when it made room for more.
  void attach(devices::virtio::Console& console);
  /// From the guest: how many of `bytes` the socket took. The rest is asked for by resume_output().
  std::size_t take(base::ByteView bytes);
  /// The guest gave the console buffers to send into.
  void resume();

 private:
  void wait_read();
  void wait_write();
  void read_once();

  boost::asio::posix::stream_descriptor socket_;
  devices::virtio::Console* console_ = nullptr;
  base::Bytes buffer_;
  base::ByteView unsent_;  // in buffer_
  bool waiting_to_read_ = false;
  bool waiting_to_write_ = false;
  bool ended_ = false;
};

}  // namespace pyro::machine
