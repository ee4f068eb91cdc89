#include "base/text.hpp"

namespace pyro::base {

namespace {

/// Length of the UTF-8 sequence at the start of `text` (RFC 3629: shortest form, no surrogates), 0 if there is none.
std::size_t sequence_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xc2 && first <= 0xdf) {
    return follows(1) ? 2 : 0;
  }
  if ((first & 0xf0) == 0xe0) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && byte(1) < 0x90;
    const bool beyond = first == 0xf4 && byte(1) >= 0x90;
    return follows(1) && follows(2) && follows(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

/// C0, DEL and C1 (U+0080 to U+009F), which some terminals obey as well.
bool is_control(std::string_view character) noexcept {
  const auto first = static_cast<unsigned char>(character[0]);
  return first < 0x20 || first == 0x7f ||
         (character.size() == 2 && first == 0xc2 && static_cast<unsigned char>(character[1]) < 0xa0);
}

/// Length of the CSI sequence at the start of `text` (ECMA-48, 5.4), 0 if there is none.
std::size_t csi_length(std::string_view text) noexcept {
  if (text.substr(0, 2) != "\x1b[") {
    return 0;
  }
  std::size_t length = 2;
  while (length < text.size() && text[length] >= ' ' && text[length] < '@') {
    ++length;
  }
  const bool has_final = length < text.size() && text[length] >= '@' && text[length] <= '~';
  return has_final ? length + 1 : length;
}

}  // namespace

std::string printable(std::string_view text, std::size_t max_bytes, Lines lines) {
  std::string out;
  out.reserve(text.size() < max_bytes ? text.size() : max_bytes);
  while (!text.empty()) {
    if (const std::size_t sequence = csi_length(text); sequence > 0) {
      text.remove_prefix(sequence);
      continue;
    }
    const std::size_t length = sequence_length(text);
    std::string_view piece = text.substr(0, length);
    if (length == 0) {
      piece = "?";
    } else if (lines == Lines::one && is_control(piece)) {
      piece = " ";
    } else if (is_control(piece) && piece != "\n" && piece != "\t") {
      piece = "";
    }
    if (out.size() + piece.size() > max_bytes) {
      break;
    }
    out += piece;
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string to_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    out += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace pyro::base
