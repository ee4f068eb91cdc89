// The control connection to one pyro-vm: its process, its socket, and what waits to be written. Knows
// frames, not what they mean (run_op.cpp does).
// Thread rule: belongs to one thread at a time.
#pragma once

#include "client/poller.hpp"
#include "jail/spawn.hpp"
#include "wire/frame.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pyro::client {

class VmLink {
 public:
  /// Starts `program` (pyro-vm) with nothing but one end of a socket. Errors: LIMIT, INTERNAL.
  static base::Result<std::unique_ptr<VmLink>> start(const std::string& program, const Poller& poller);
  VmLink(const VmLink&) = delete;
  VmLink& operator=(const VmLink&) = delete;
  ~VmLink();

  /// Sends the first frame together with descriptors. A supervisor that is dead already is no error here:
  /// is_over() tells later.
  base::Status send_first(base::ByteView frame, std::span<const int> fds);
  /// Writes what it can of `queue`, and waits for room in the poller if something is left.
  base::Status flush(wire::FrameQueue& queue);
  /// Appends the frames that have come to `frames`. The error is a broken protocol.
  base::Status receive(std::vector<wire::Frame>& frames);

  /// The supervisor has closed the connection or has ended, and everything it sent was received.
  [[nodiscard]] bool is_over() const noexcept { return over_; }
  /// After is_over(): whether the process has ended. Its end wakes the poller.
  bool has_exited() noexcept;
  /// How the process ended, in words; after has_exited().
  std::string describe_end() { return process_.describe_end(); }
  /// Tells the supervisor to end the VM, without waiting; the destructor waits.
  void shut_down() noexcept;

 private:
  VmLink(jail::Process process, base::Fd socket) noexcept : process_(std::move(process)), socket_(std::move(socket)) {}
  /// As recv(2), without waiting.
  ssize_t read_some() noexcept;

  jail::Process process_;
  base::Fd socket_;
  Watch socket_watch_;
  Watch process_watch_;
  wire::FrameParser parser_;
  std::vector<std::byte> buffer_;
  bool over_ = false;
  bool writable_ = true;
};

}  // namespace pyro::client
