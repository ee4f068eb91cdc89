// Progress on stderr: one live line on a terminal, a few plain lines elsewhere, nothing with -q.
#pragma once

#include <pyro/pyro.hpp>

#include <chrono>
#include <string>

namespace pyro::cli {

class ProgressDisplay {
 public:
  explicit ProgressDisplay(bool quiet);
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;
  ~ProgressDisplay() { clear(); }

  void show(const Event& event);
  /// Takes the live line away, before anything else is written to the terminal.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  void show_live(const Event& event);
  void show_line(const Event& event);

  bool quiet_;
  bool live_;
  bool drawn_ = false;
  std::string stage_;
  std::string message_;
  Clock::time_point shown_at_{};
};

}  // namespace pyro::cli
