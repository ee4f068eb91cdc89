// ConsoleLog: the end of what a guest wrote to its serial console, in bounded memory.
// The guest may write anything, any amount: only the newest kCapacityBytes are kept.
#pragma once

#include "base/bytes.hpp"

#include <string>

namespace pyro::machine {

/// How many console lines an error message quotes.
inline constexpr std::size_t kConsoleTailLines = 20;

class ConsoleLog {
 public:
  /// Room for a kernel panic with its backtrace and register dump.
  static constexpr std::size_t kCapacityBytes = 64 * 1024;

  void append(base::ByteView bytes);
  /// The newest `max_lines` lines, control characters and escape sequences removed, at most 8 KiB.
  [[nodiscard]] std::string tail(std::size_t max_lines) const;
  /// The reason of the last "Kernel panic - not syncing: <reason>", or "".
  [[nodiscard]] std::string panic_reason() const;

 private:
  std::string text_;
};

}  // namespace pyro::machine
