// A conversation with the supervisor of a VM that outlives its client, other than running a command: attach, say one
// thing, hear the answer.
// Thread rule: belongs to one thread at a time.
#pragma once

#include "client/event.hpp"
#include "client/log_ring.hpp"
#include "client/poller.hpp"
#include "client/vm_folder.hpp"
#include "client/vm_link.hpp"
#include "wire/messages.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace pyro::client {

/// Connects to the supervisor, and attaches to it: a client that keeps the VM from expiring. Without that it can only ask
/// for the status. `poller` gets a deadline while that has to be tried again.
class VmAttach {
 public:
  VmAttach(const VmFolder& folder, Poller& poller, bool attaches = true)
      : folder_(folder), poller_(poller), attaches_(attaches) {}
  /// The connection; nothing: call again when the poller wakes. Errors: STATE (it does not run), TIMEOUT.
  base::Result<std::unique_ptr<VmLink>> poll();

 private:
  const VmFolder& folder_;
  Poller& poller_;
  bool attaches_;
  std::int64_t deadline_ms_ = 0;
};

class VmControl {
 public:
  /// `request` goes out when the supervisor has said who it is. `folder` and `poller` outlive this.
  VmControl(const VmFolder& folder, Poller& poller, base::Bytes request, std::int64_t timeout_ms, bool attaches = true)
      : poller_(poller), attach_(folder, poller, attaches), request_(std::move(request)), timeout_ms_(timeout_ms) {}

  struct Outcome {
    /// The frames that came so far and were not given before.
    std::vector<wire::Frame> frames;
    /// The supervisor has closed the connection.
    bool over = false;
  };
  /// Takes what has come. Errors: STATE (it does not run), TIMEOUT (it does not answer), INTERNAL.
  base::Result<Outcome> poll();
  void stop() noexcept;

 private:
  Poller& poller_;
  VmAttach attach_;
  base::Bytes request_;
  std::int64_t timeout_ms_;
  std::int64_t deadline_ms_ = 0;
  std::unique_ptr<VmLink> vm_;
  wire::FrameQueue queue_;
  bool greeted_ = false;
};

/// Takes in what a supervisor says of itself, whatever the client waits for: progress and failed become events, log a
/// line. False: it is another frame. Errors: INTERNAL (malformed).
base::Result<bool> take_news(const wire::Frame& frame, const std::string& vm_id, LogRing& log,
                             const std::function<void(Event)>& emit);

/// Checks a supervisor's first frame. Tasks outlive upgrades of the library, so its build may be another one.
base::Status check_hello(const wire::Frame& frame);

}  // namespace pyro::client
