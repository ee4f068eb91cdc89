// Drives an operation without output of its own (environments, doctor) to its end.
#pragma once

#include "cli/progress.hpp"
#include "cli/signals.hpp"

#include <pyro/pyro.hpp>

#include <poll.h>

#include <array>
#include <chrono>
#include <csignal>

namespace pyro::cli {

/// Of an operation, between two looks at keys and signals: one that talks on and on must not keep those waiting.
inline constexpr int kEventsAtATime = 64;

/// Takes its events. INT, QUIT, TERM and HUP cancel it: then Error cancelled is thrown, and
/// signals.fatal() says which it was.
/// `on_event` gets every other event.
inline void wait_to_end(Operation& operation, Signals& signals, ProgressDisplay& progress,
                        const EventHandler& on_event = {}) {
  while (!operation.ended()) {
    for (int taken = 0; taken < kEventsAtATime; ++taken) {
      const Event* event = operation.next(std::chrono::milliseconds(0));
      if (event == nullptr) {
        break;
      }
      if (event->kind == EventKind::progress) {
        progress.show(*event);
      } else if (on_event) {
        on_event(*event);
      }
    }
    if (operation.ended()) {
      break;
    }
    std::array<pollfd, 2> entries{{{operation.fd(), POLLIN, 0}, {signals.fd(), POLLIN, 0}}};
    ::poll(entries.data(), entries.size(), -1);
    while (const auto number = signals.take()) {
      if (*number != SIGWINCH && *number != SIGCONT) {
        signals.set_fatal(*number);
        operation.cancel();
      }
    }
  }
  progress.clear();
}

/// The same, and gives the operation's value.
template <typename Op>
typename Op::value_type wait_for(Op operation, Signals& signals, ProgressDisplay& progress) {
  wait_to_end(operation, signals, progress);
  return operation.result();
}

}  // namespace pyro::cli
