#include "cli/json.hpp"

#include <cstddef>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Sequence {
  /// Bytes to consume; at least 1.
  std::size_t length;
  bool valid;
};

// The well-formed UTF-8 sequence at the start of `bytes`, or the longest part of one that could have
// become well-formed (Unicode 15, section 3.9, table 3-7).
Sequence next_sequence(std::string_view bytes) {
  const auto at = [bytes](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned lead = at(0);
  if (lead < 0x80) {
    return {1, true};
  }
  if (lead < 0xC2 || lead > 0xF4) {
    return {1, false};
  }
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  unsigned low = lead == 0xE0 ? 0xA0U : lead == 0xF0 ? 0x90U : 0x80U;
  unsigned high = lead == 0xED ? 0x9FU : lead == 0xF4 ? 0x8FU : 0xBFU;
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= bytes.size() || at(i) < low || at(i) > high) {
      return {i, false};
    }
    low = 0x80;
    high = 0xBF;
  }
  return {length, true};
}

void append_ascii(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
        out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      } else {
        out += c;
      }
  }
}

}  // namespace

std::string json_string(std::string_view bytes) {
  std::string out = "\"";
  out.reserve(bytes.size() + 2);
  while (!bytes.empty()) {
    const Sequence sequence = next_sequence(bytes);
    if (!sequence.valid) {
      out += kReplacement;
    } else if (sequence.length == 1) {
      append_ascii(out, bytes[0]);
    } else {
      out += bytes.substr(0, sequence.length);
    }
    bytes.remove_prefix(sequence.length);
  }
  out += '"';
  return out;
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const Sequence sequence = next_sequence(bytes);
    if (!sequence.valid) {
      return false;
    }
    bytes.remove_prefix(sequence.length);
  }
  return true;
}

std::string base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = bytes.size() - i < 3 ? bytes.size() - i : 3;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8U | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= count ? kBase64Digits[group >> (18 - 6 * k) & 63U] : '=';
    }
  }
  return out;
}

JsonObject& JsonObject::add_raw(std::string_view name, std::string_view json) {
  if (text_.size() > 1) {
    text_ += ',';
  }
  text_ += json_string(name);
  text_ += ':';
  text_ += json;
  return *this;
}

JsonObject& JsonObject::add(std::string_view name, std::string_view value) {
  return add_raw(name, json_string(value));
}
JsonObject& JsonObject::add(std::string_view name, bool value) {
  return add_raw(name, value ? "true" : "false");
}
JsonObject& JsonObject::add(std::string_view name, std::int64_t value) {
  return add_raw(name, fmt::to_string(value));
}
JsonObject& JsonObject::add(std::string_view name, std::uint64_t value) {
  return add_raw(name, fmt::to_string(value));
}

}  // namespace pyro::cli
