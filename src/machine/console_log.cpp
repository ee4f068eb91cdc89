#include "machine/console_log.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace pyro::machine {

namespace {
constexpr std::size_t kMaxTailBytes = 8 * 1024;
constexpr std::size_t kMaxReasonBytes = 200;
}  // namespace

void ConsoleLog::append(base::ByteView bytes) {
  text_.append(base::as_text(bytes));
  // Trimmed only at twice the capacity, so that a flood costs one move per capacity, not one per read.
  if (text_.size() > 2 * kCapacityBytes) {
    text_.erase(0, text_.size() - kCapacityBytes);
  }
}

std::string ConsoleLog::tail(std::size_t max_lines) const {
  const std::string_view window = std::string_view(text_).substr(text_.size() - std::min(text_.size(), kMaxTailBytes));
  std::string text = base::printable(window, kMaxTailBytes, base::Lines::many);
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  std::size_t start = text.size();
  for (std::size_t lines = 0; lines < max_lines && start != std::string::npos && start > 0; ++lines) {
    start = text.rfind('\n', start - 1);
  }
  return start == std::string::npos || start == 0 ? text : text.substr(start + 1);
}

std::string ConsoleLog::panic_reason() const {
  static constexpr std::string_view kMark = "Kernel panic - not syncing: ";
  const auto at = text_.rfind(kMark);
  if (at == std::string::npos) {
    return {};
  }
  const auto begin = at + kMark.size();
  const auto end = std::min(text_.find_first_of("\r\n", begin), text_.size());
  return base::printable(std::string_view(text_).substr(begin, end - begin), kMaxReasonBytes);
}

}  // namespace pyro::machine
