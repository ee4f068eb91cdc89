// The agent's end of the link: frames over the console port, without blocking in either direction.
// Thread rule: one thread.
#pragma once

#include "base/fd.hpp"
#include "wire/frame.hpp"

#include <optional>

namespace pyro::guest {

class Link {
 public:
  /// `port`: non-blocking.
  explicit Link(base::Fd port) : port_(std::move(port)) {}

  [[nodiscard]] int fd() const noexcept { return port_.get(); }
  void send_control(base::Bytes frame) { queue_.push_control(std::move(frame)); }
  void send_data(base::Bytes frame) { queue_.push_data(std::move(frame)); }
  /// Bytes that the port has not taken yet.
  [[nodiscard]] std::size_t pending_bytes() const noexcept { return queue_.pending_bytes(); }

  /// So much waits for the port that no more output is to be read: what the host does not take stays in the
  /// pipes, which are charged to the commands, and the agent's memory stays small with any number of them.
  [[nodiscard]] bool full() const noexcept { return pending_bytes() >= kFullBytes; }

  /// Reads what the port has, within reason. False if the host closed its end.
  base::Result<bool> receive();
  /// The next whole frame that was received, if any.
  base::Result<std::optional<wire::Frame>> next() { return parser_.next(); }
  /// Writes what the port takes.
  base::Status flush();

 private:
  static constexpr std::size_t kFullBytes = 256 * 1024;

  base::Fd port_;
  wire::FrameParser parser_;
  wire::FrameQueue queue_;
};

}  // namespace pyro::guest
