#include "cli/option_values.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <system_error>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

constexpr std::uint64_t kMib = std::uint64_t{1} << 20U;

[[noreturn]] void refuse(std::string_view option, std::string_view text, std::string_view expected) {
  throw Error(ErrorCode::invalid, fmt::format("{}: \"{}\" is not {}", option, text, expected));
}

template <typename Number>
std::optional<Number> whole(std::string_view text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stopped, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc() || stopped != end || text.empty()) {
    return std::nullopt;
  }
  return number;
}

// The unit that a letter stands for, 0 if it stands for none.
std::uint64_t unit_of(char letter) {
  switch (letter) {
    case 'k':
    case 'K':
      return std::uint64_t{1} << 10U;
    case 'm':
    case 'M':
      return std::uint64_t{1} << 20U;
    case 'g':
    case 'G':
      return std::uint64_t{1} << 30U;
    default:
      return 0;
  }
}

// A number with an optional unit; without one it counts in `plain_unit`.
std::optional<std::uint64_t> with_unit(std::string_view text, std::uint64_t plain_unit) {
  std::uint64_t unit = plain_unit;
  if (!text.empty() && unit_of(text.back()) != 0) {
    unit = unit_of(text.back());
    text.remove_suffix(1);
  }
  const auto number = whole<std::uint64_t>(text);
  if (!number || *number > std::numeric_limits<std::uint64_t>::max() / unit) {
    return std::nullopt;
  }
  return *number * unit;
}

}  // namespace

std::uint32_t parse_count(std::string_view option, std::string_view text) {
  const auto number = whole<std::uint32_t>(text);
  // 0 would mean the default to the library.
  if (!number || *number == 0) {
    refuse(option, text, "a whole number of 1 or more");
  }
  return *number;
}

std::uint32_t parse_mib(std::string_view option, std::string_view text) {
  const auto bytes = with_unit(text, kMib);
  if (!bytes || *bytes == 0 || *bytes % kMib != 0 || *bytes / kMib > std::numeric_limits<std::uint32_t>::max()) {
    refuse(option, text, "a size in MiB, such as 512, 512M or 2G");
  }
  return static_cast<std::uint32_t>(*bytes / kMib);
}

std::uint64_t parse_bytes(std::string_view option, std::string_view text) {
  if (text == "all") {
    return std::numeric_limits<std::uint64_t>::max();
  }
  const auto bytes = with_unit(text, 1);
  if (!bytes || *bytes == 0) {
    refuse(option, text, "a size in bytes, such as 1000, 64K or 16M, or \"all\"");
  }
  return *bytes;
}

Seconds parse_seconds(std::string_view option, std::string_view text) {
  if (text == "none") {
    return kNoTimeout;
  }
  const auto seconds = whole<double>(text);
  if (!seconds || !std::isfinite(*seconds) || *seconds <= 0.0) {
    refuse(option, text, "a number of seconds above 0, such as 2 or 0.5, or \"none\"");
  }
  return *seconds;
}

Engine parse_engine(std::string_view text) {
  for (const Engine engine : {Engine::automatic, Engine::kvm, Engine::software}) {
    if (text == to_string(engine)) {
      return engine;
    }
  }
  refuse("--engine", text, "auto, kvm or software");
}

std::map<std::string, std::string> parse_labels(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> labels;
  for (const std::string& text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(ErrorCode::invalid, fmt::format("--label: \"{}\" is not NAME=VALUE", text));
    }
    labels[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return labels;
}

std::map<std::string, std::string> parse_variables(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> variables;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (text.empty() || equals == 0) {
      refuse("--env", text, "NAME=VALUE, or NAME for the value it has here");
    }
    if (equals != std::string::npos) {
      variables.insert_or_assign(text.substr(0, equals), text.substr(equals + 1));
    } else if (const char* value = std::getenv(text.c_str())) {
      variables.insert_or_assign(text, value);
    }
  }
  return variables;
}

}  // namespace pyro::cli
