#include "cli/detach_keys.hpp"

#include <pyro/pyro.hpp>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

constexpr std::string_view kControl = "ctrl-";

// What a terminal sends for "a" or "ctrl-a"; 0: it is no key.
char key_byte(std::string_view key) {
  if (key.size() == 1 && key[0] > ' ' && key[0] < 0x7f) {
    return key[0];
  }
  if (key.size() != kControl.size() + 1 || !key.starts_with(kControl)) {
    return 0;
  }
  const char last = key.back();
  if (last >= 'a' && last <= 'z') {
    return static_cast<char>(last - 'a' + 1);
  }
  return last > '@' && last <= '_' ? static_cast<char>(last - '@') : '\0';
}

}  // namespace

DetachKeys DetachKeys::parse(std::string_view option, std::string_view text) {
  DetachKeys parsed;
  if (text == "none") {
    return parsed;
  }
  std::string_view rest = text;
  while (true) {
    const auto comma = rest.find(',');
    const std::string_view key = rest.substr(0, comma);
    const char byte = key_byte(key);
    if (byte == 0 || parsed.keys_.size() == kMaxKeys) {
      throw Error(
          ErrorCode::invalid,
          fmt::format("{}: \"{}\" is no list of at most {} keys, such as ctrl-p,ctrl-q or ctrl-],d, and not none",
                      option, text, kMaxKeys));
    }
    parsed.keys_ += byte;
    if (comma == std::string_view::npos) {
      return parsed;
    }
    rest.remove_prefix(comma + 1);
  }
}

bool DetachKeys::filter(std::string_view typed, std::string& out) {
  if (keys_.empty()) {
    out += typed;
    return false;
  }
  for (const char byte : typed) {
    held_ += byte;
    while (!keys_.starts_with(held_)) {
      out += held_[0];
      held_.erase(0, 1);
    }
    if (held_ == keys_) {
      held_.clear();
      return true;
    }
  }
  return false;
}

}  // namespace pyro::cli
