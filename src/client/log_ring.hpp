// The log of a context: a ring of lines that the host takes when it likes. The library itself writes
// nowhere. Thread rule: any thread; the lock is never held across a system call.
#pragma once

#include <pyro/pyro.h>

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include <fmt/format.h>

namespace pyro::client {

struct LogLine {
  pyro_log_level level = PYRO_LOG_OFF;
  std::int64_t time_ns = 0;
  std::string message;
};

class LogRing {
 public:
  /// As pyro_log_next() promises: enough for a day of one-shots, at most a few hundred KiB.
  static constexpr std::size_t kMaxLines = 1000;

  explicit LogRing(pyro_log_level level) noexcept : level_(level) {}

  [[nodiscard]] bool wants(pyro_log_level level) const noexcept { return level != PYRO_LOG_OFF && level <= level_; }
  /// Remembers a line, if its level is wanted; the oldest one goes if there is no room.
  template <typename... Args>
  void add(pyro_log_level level, fmt::format_string<Args...> format, Args&&... args) {
    if (wants(level)) {
      push(level, fmt::format(format, std::forward<Args>(args)...));
    }
  }
  /// Takes the oldest line.
  std::optional<LogLine> take();

 private:
  void push(pyro_log_level level, std::string message);

  const pyro_log_level level_;
  std::mutex mutex_;
  std::deque<LogLine> lines_;
};

}  // namespace pyro::client
