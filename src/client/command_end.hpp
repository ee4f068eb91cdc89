// What operations on commands share, whoever tells them of the command: how what it printed becomes an event and its end a
// result, and which signals and sizes of a terminal there are.
// Thread rule: any thread.
#pragma once

#include "client/event.hpp"
#include "state/journal.hpp"
#include "wire/messages.hpp"

#include <utility>

namespace pyro::client {

/// `end`: wire::Exit or state::CommandEnded, which say the same.
template <typename End>
void fill_end(OwnedResult& result, const End& end) {
  result.exit_code = end.exit_code;
  result.term_signal = end.term_signal;
  result.timed_out = end.timed_out ? 1 : 0;
  result.oom_killed = end.oom_killed ? 1 : 0;
  result.duration_ms = end.duration_ms;
  result.cpu_time_ms = end.cpu_time_ms;
  result.memory_peak_bytes = end.memory_peak_bytes;
}

/// A piece of output as the journal has it.
inline Event output_event(state::CommandOutput piece) {
  Event event;
  event.kind = piece.channel == 1 ? PYRO_EVENT_STDOUT : PYRO_EVENT_STDERR;
  event.command_number = piece.number;
  event.data = std::move(piece.data);
  return event;
}

/// A command that could not be executed: as a shell would say it, and where a shell would.
inline Event stderr_line(const std::string& message) {
  const std::string line = "pyro: " + message + "\n";
  const auto bytes = base::as_bytes(line);
  Event event;
  event.kind = PYRO_EVENT_STDERR;
  event.data.assign(bytes.begin(), bytes.end());
  return event;
}

/// Errors: INVALID. The same below.
inline base::Status check_signal(std::int32_t number) {
  if (number < 1 || number > 64) {
    return base::make_error(PYRO_ERROR_INVALID, "signal_number is {}: 1 to 64 are possible", number);
  }
  return base::success();
}

inline base::Result<wire::Resize> make_resize(std::uint32_t rows, std::uint32_t columns) {
  if (rows < 1 || rows > 65535 || columns < 1 || columns > 65535) {
    return base::make_error(PYRO_ERROR_INVALID, "the terminal size is {} x {}: 1 to 65535 each are possible", rows,
                            columns);
  }
  wire::Resize message;
  message.rows = static_cast<std::uint16_t>(rows);
  message.columns = static_cast<std::uint16_t>(columns);
  return message;
}

}  // namespace pyro::client
