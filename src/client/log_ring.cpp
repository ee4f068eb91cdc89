#include "client/log_ring.hpp"

#include "base/clock.hpp"

namespace pyro::client {

void LogRing::push(pyro_log_level level, std::string message) {
  LogLine line{level, base::realtime_ns(), std::move(message)};
  const std::lock_guard lock(mutex_);
  if (lines_.size() == kMaxLines) {
    lines_.pop_front();
  }
  lines_.push_back(std::move(line));
}

std::optional<LogLine> LogRing::take() {
  const std::lock_guard lock(mutex_);
  if (lines_.empty()) {
    return std::nullopt;
  }
  LogLine line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}

}  // namespace pyro::client
