// The control connection to one pyro-vm: its socket, what waits to be written, and its process if that is ours. Knows
// frames, not what they mean.
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

#include <unistd.h>

namespace pyro::client {

/// The stream of the one command that a connection is for.
inline constexpr std::uint32_t kCommandStream = 1;

class VmLink {
 public:
  /// What the process is to us.
  enum class Bond {
    /// A child: its end is known, and waited for.
    child,
    /// A process that goes on without us: all that is known of its end is that the connection closes.
    none,
  };

  /// Starts `program` (pyro-vm) with nothing but one end of a socket. Errors: LIMIT, INTERNAL.
  static base::Result<std::unique_ptr<VmLink>> start(const std::string& program, const Poller& poller, Bond bond);
  /// To one that runs already.
  static base::Result<std::unique_ptr<VmLink>> attach(base::Fd socket, const Poller& poller);
  VmLink(const VmLink&) = delete;
  VmLink& operator=(const VmLink&) = delete;
  ~VmLink();

  /// Sends the first frame together with descriptors. A supervisor that is dead already is no error here:
  /// is_over() tells later.
  base::Status send_first(base::ByteView frame, std::span<const int> fds);
  /// Writes what it can of `queue`, and waits for room in the poller if something is left. Errors: INTERNAL, also if far
  /// more is left than a supervisor that reads would leave: it may be a hostile guest's.
  base::Status flush(wire::FrameQueue& queue);
  /// Appends the frames that have come to `frames`. The error is a broken protocol.
  base::Status receive(std::vector<wire::Frame>& frames);

  /// The supervisor has closed the connection or has ended, and everything it sent was received.
  [[nodiscard]] bool is_over() const noexcept { return over_; }
  /// After is_over(): whether the process has ended, if it is ours. Its end wakes the poller.
  bool has_exited() noexcept;
  /// How the process ended, in words; after has_exited().
  std::string describe_end() { return process_.has_value() ? process_->describe_end() : "closed the connection"; }
  /// Hangs up, without waiting; a VM that is bound to us ends, and the destructor waits for it.
  void shut_down() noexcept;

 private:
  VmLink(std::optional<jail::Process> process, base::Fd socket) noexcept
      : owner_(::getpid()), process_(std::move(process)), socket_(std::move(socket)) {}
  base::Status watch(const Poller& poller);
  /// As recv(2), without waiting.
  ssize_t read_some() noexcept;

  pid_t owner_;
  std::optional<jail::Process> process_;
  /// Bond none: it forks at once and ends, so that what goes on is nobody's child.
  std::optional<jail::Process> starter_;
  base::Fd socket_;
  Watch socket_watch_;
  Watch process_watch_;
  wire::FrameParser parser_;
  std::vector<std::byte> buffer_;
  bool over_ = false;
  bool writable_ = true;
};

}  // namespace pyro::client
