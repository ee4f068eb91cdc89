// Keys that detach this program from a command with a terminal instead of going to it.
#pragma once

#include <string>
#include <string_view>

namespace pyro::cli {

class DetachKeys {
 public:
  /// None: every key goes to the command.
  DetachKeys() = default;
  /// Keys with commas between them: single characters, and "ctrl-" before a letter or one of [ \ ] ^ _. "none": none.
  /// Throws Error invalid.
  static DetachKeys parse(std::string_view option, std::string_view text);

  /// Takes typed bytes and appends those that go to the command to `out`. A beginning of the sequence is held back until
  /// the next key. True: the sequence was typed; what follows it is dropped.
  bool filter(std::string_view typed, std::string& out);

  /// ctrl-p,ctrl-q
  static DetachKeys standard() { return parse("--detach-keys", "ctrl-p,ctrl-q"); }

  /// The longest that is possible.
  static constexpr std::size_t kMaxKeys = 16;

 private:
  std::string keys_;
  std::string held_;
};

}  // namespace pyro::cli
