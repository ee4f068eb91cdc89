#include "cli/signals.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

namespace pyro::cli {

Signals::Signals() {
  sigset_t taken;
  sigemptyset(&taken);
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGWINCH, SIGCONT}) {
    struct sigaction action {};
    // An ignored signal that is blocked would be queued all the same.
    if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) {
      sigaddset(&taken, number);
    }
  }
  fd_ = ::signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd_ >= 0) {
    ::sigprocmask(SIG_BLOCK, &taken, nullptr);
  }
}

Signals::~Signals() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

std::optional<int> Signals::take() {
  signalfd_siginfo info{};
  if (fd_ < 0 || ::read(fd_, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) {
    return std::nullopt;
  }
  return static_cast<int>(info.ssi_signo);
}

}  // namespace pyro::cli
