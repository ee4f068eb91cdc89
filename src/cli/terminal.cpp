#include "cli/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>

namespace pyro::cli {
namespace {

// A background process that sets a terminal's mode is stopped by SIGTTOU; ours may have to restore it.
void set_mode(const termios& mode) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTTOU);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

std::optional<TerminalSize> terminal_size() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row != 0 && size.ws_col != 0) {
      return TerminalSize{size.ws_row, size.ws_col};
    }
  }
  return std::nullopt;
}

void RawMode::enter() {
  termios mode{};
  if (::tcgetattr(STDIN_FILENO, &mode) != 0) {
    return;
  }
  entered_ = true;
  if (!saved_) {
    saved_ = mode;
  }
  ::cfmakeraw(&mode);
  set_mode(mode);
}

void RawMode::leave() {
  entered_ = false;
  pause();
}

void RawMode::resume() {
  if (entered_) {
    enter();
  }
}

void RawMode::pause() {
  if (saved_) {
    set_mode(*saved_);
    saved_.reset();
  }
}

}  // namespace pyro::cli
