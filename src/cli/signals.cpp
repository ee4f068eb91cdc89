#include "cli/signals.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

namespace pyro::cli {

Signals::Signals() {
  sigemptyset(&taken_);
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGWINCH, SIGCONT}) {
    take_over(number);
  }
  fd_ = ::signalfd(-1, &taken_, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd_ >= 0) {
    ::sigprocmask(SIG_BLOCK, &taken_, nullptr);
  }
}

void Signals::take_over(int signal_number) {
  struct sigaction action {};
  // An ignored signal that is blocked would be queued all the same.
  if (::sigaction(signal_number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) {
    sigaddset(&taken_, signal_number);
  }
}

void Signals::add(int signal_number) {
  take_over(signal_number);
  if (fd_ >= 0 && ::signalfd(fd_, &taken_, 0) == fd_) {
    ::sigprocmask(SIG_BLOCK, &taken_, nullptr);
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
