#include "cli/progress.hpp"

#include "cli/report.hpp"
#include "cli/terminal.hpp"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

constexpr std::chrono::milliseconds kRedrawInterval{100};
// Without a terminal the lines end up in logs: one per stage, and of a long stage one now and then.
constexpr std::chrono::seconds kLineInterval{5};
constexpr std::size_t kBarWidth = 24;
constexpr std::uint32_t kDefaultColumns = 80;

// Every run has these. They are worth a live line, but not a line in the log of a script, which
// expects the command's stderr and nothing else.
bool is_routine(std::string_view stage) {
  return stage == "boot";
}

std::string bar(std::uint64_t done, std::uint64_t total) {
  const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(kBarWidth));
  return fmt::format(" [{}{}] {:3.0f}%", std::string(filled, '#'), std::string(kBarWidth - filled, '-'), share * 100.0);
}

}  // namespace

ProgressDisplay::ProgressDisplay(bool quiet) : quiet_(quiet), live_(is_terminal(STDERR_FILENO)) {}

void ProgressDisplay::show(const Event& event) {
  if (quiet_ || event.message.empty()) {
    return;
  }
  const bool new_step = event.stage != stage_ || event.message != message_;
  const Clock::time_point now = Clock::now();
  const auto interval = live_ ? Clock::duration(kRedrawInterval) : Clock::duration(kLineInterval);
  const bool same_stage_too_soon = event.stage == stage_ && now - shown_at_ < interval;
  if (same_stage_too_soon || (!live_ && !new_step)) {
    return;
  }
  stage_ = event.stage;
  message_ = event.message;
  shown_at_ = now;
  if (live_) {
    show_live(event);
  } else {
    show_line(event);
  }
}

void ProgressDisplay::show_live(const Event& event) {
  const auto size = terminal_size();
  const std::size_t columns = size ? size->columns : kDefaultColumns;
  std::string line = "pyro: " + printable(event.message);
  const std::string tail = event.total == 0 ? std::string() : bar(event.done, event.total);
  if (line.size() + tail.size() >= columns) {
    line.resize(columns > tail.size() ? columns - tail.size() - 1 : 0);
  }
  say_raw(fmt::format("\r\x1b[K{}{}", line, tail));
  drawn_ = true;
}

void ProgressDisplay::show_line(const Event& event) {
  if (!is_routine(event.stage)) {
    say(printable(event.message));
  }
}

void ProgressDisplay::clear() {
  if (drawn_) {
    say_raw("\r\x1b[K");
    drawn_ = false;
  }
}

}  // namespace pyro::cli
