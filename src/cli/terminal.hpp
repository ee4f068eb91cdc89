// The terminal of this program while a command in the guest has a terminal of its own.
#pragma once

#include <cstdint>
#include <optional>

#include <termios.h>

namespace pyro::cli {

struct TerminalSize {
  std::uint32_t rows;
  std::uint32_t columns;
};

/// Size of the first of stdin, stdout and stderr that is a terminal.
std::optional<TerminalSize> terminal_size();

/// Standard input in raw mode: every key goes to the guest. Restores the mode it found.
class RawMode {
 public:
  RawMode() = default;
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  ~RawMode() { leave(); }

  /// Does nothing if standard input is not a terminal. Entered before and not left: enters it again, whatever mode
  /// somebody has set since.
  void enter();
  void leave();
  /// The process is to be stopped: as leave(), until resume().
  void pause();
  /// It goes on: raw mode again if it was before.
  void resume();

 private:
  std::optional<termios> saved_;
  bool entered_ = false;
};

}  // namespace pyro::cli
