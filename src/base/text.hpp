// Text that somebody else wrote (a guest, an archive), made fit for messages, logs and terminals.
// Pure code. Thread rule: functions without state.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pyro::base {

/// What becomes of line ends and tabs.
enum class Lines {
  one,   // they become spaces, as all control characters do
  many,  // they stay; other control characters are dropped
};

/// `text` as valid UTF-8 of at most `max_bytes`, without control characters (of ASCII and of Unicode) and
/// without the CSI sequences that drive a terminal. A byte that belongs to no character becomes "?"; what is
/// too much is cut off behind a whole character.
std::string printable(std::string_view text, std::size_t max_bytes, Lines lines = Lines::one);

/// `text` as valid UTF-8: each byte that belongs to no character becomes U+FFFD. Nothing else changes.
std::string to_utf8(std::string_view text);

}  // namespace pyro::base
