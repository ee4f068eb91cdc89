#include "machine/console_log.hpp"

#include <algorithm>

namespace pyro::machine {

namespace {
constexpr std::size_t kMaxTailBytes = 8 * 1024;

// Drops what is not printable ASCII, and whole CSI sequences (ECMA-48, 5.4): a log line must not be
// able to drive the terminal of whoever reads an error message.
std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\x1b') {
      if (i + 1 < text.size() && text[i + 1] == '[') {
        i += 2;
        while (i < text.size() && (text[i] < '@' || text[i] > '~')) {
          ++i;
        }
      }
    } else if (c == '\n' || c == '\t' || (c >= ' ' && c <= '~')) {
      out.push_back(c);
    }
  }
  return out;
}
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
  std::string text = printable(window);
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
  return printable(std::string_view(text_).substr(begin, std::min<std::size_t>(end - begin, 200)));
}

}  // namespace pyro::machine
