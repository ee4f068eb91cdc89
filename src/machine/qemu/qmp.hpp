// QmpConnection: the few words of QMP (QEMU's docs/interop/qmp-spec.txt) that a supervisor needs.
// QEMU may have been taken over by its guest: lines are bounded, nothing it says is trusted further
// than to describe its own VM.
// Thread rule: everything on the thread that runs the io_context.
#pragma once

#include "base/fd.hpp"
#include "machine/qemu/drain.hpp"

#include <deque>
#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/json/fwd.hpp>

namespace pyro::machine {

class QmpConnection {
 public:
  using EventHandler = std::function<void(std::string_view name, const boost::json::object& data)>;
  /// The text that a command returned, or "" if it failed or returned something else.
  using ReplyHandler = std::function<void(std::string)>;

  QmpConnection(boost::asio::io_context& io, base::Fd socket, EventHandler on_event);

  /// Starts reading, and leaves QMP's negotiation mode.
  void start();
  /// Runs a command of the human monitor that only reads state, such as "info registers -a".
  void query_text(const std::string& command_line, ReplyHandler on_reply);
  /// Takes in what has arrived and was not read yet, for the time after QEMU's end.
  void drain();

 private:
  // Larger than any reply to what we ask: `info registers -a` prints about 3 KiB per vCPU.
  static constexpr std::size_t kMaxLineBytes = 256 * 1024;

  void wait();
  ReadOutcome read_some();
  void handle_line(const std::string& line);
  void send(const std::string& text);

  boost::asio::posix::stream_descriptor socket_;
  EventHandler on_event_;
  std::deque<ReplyHandler> replies_;
  std::string buffer_;
};

}  // namespace pyro::machine
