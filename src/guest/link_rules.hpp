// The order of messages that an agent accepts. The host end is not trusted more than it has to be:
// whatever is out of order or out of place ends the link.
// Pure code: no I/O. Thread rule: one thread.
#pragma once

#include "wire/frame.hpp"

namespace pyro::guest {

/// Commands that may run at once; each holds descriptors and up to 256 KiB of stdin in the agent.
inline constexpr std::size_t kMaxCommands = 64;

class LinkRules {
 public:
  /// May this frame come now? Commits to it: `personalise` counts as received.
  /// `stream_in_use`: the frame's stream belongs to a command that runs.
  base::Status accept(const wire::Frame& frame, bool stream_in_use);
  /// `personalise` has come: from here on there is something to lose.
  [[nodiscard]] bool personalised() const noexcept { return personalised_; }

 private:
  bool personalised_ = false;
};

}  // namespace pyro::guest
