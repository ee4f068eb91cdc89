// Signals as events of a poll loop: blocked for the life of the program and read from a descriptor,
// so that none is lost between a check and a wait.
#pragma once

#include <csignal>
#include <optional>

namespace pyro::cli {

class Signals {
 public:
  /// Takes over INT, QUIT, TERM, HUP, WINCH and CONT, but not what the parent process has set to be
  /// ignored (nohup; background jobs of a shell without job control).
  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

  /// Readable while take() has something; -1 if signals could not be taken over.
  [[nodiscard]] int fd() const noexcept { return fd_; }

  /// The next signal that has arrived.
  std::optional<int> take();

  /// Takes over one more, unless it is ignored.
  void add(int signal_number);

  /// Remembers the signal that made this program stop what it does.
  void set_fatal(int signal_number) noexcept { fatal_ = signal_number; }
  /// That signal, or 0.
  [[nodiscard]] int fatal() const noexcept { return fatal_; }

 private:
  void take_over(int signal_number);

  sigset_t taken_{};
  int fd_ = -1;
  int fatal_ = 0;
};

}  // namespace pyro::cli
