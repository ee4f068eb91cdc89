// Values of options: text to numbers, sizes and times. What is wrong is an Error invalid that names
// the option; ranges are checked by the library, which knows them.
#pragma once

#include <pyro/pyro.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pyro::cli {

/// A whole number, at least 1.
std::uint32_t parse_count(std::string_view option, std::string_view text);

/// MiB: "512", "512M" or "2G".
std::uint32_t parse_mib(std::string_view option, std::string_view text);

/// Bytes: "1000", "64K", "16M", "2G", or "all".
std::uint64_t parse_bytes(std::string_view option, std::string_view text);

/// Seconds, such as "2" or "0.5", or "none".
Seconds parse_seconds(std::string_view option, std::string_view text);

/// "auto", "kvm" or "software".
Engine parse_engine(std::string_view text);

/// "NAME=VALUE" each.
std::map<std::string, std::string> parse_labels(const std::vector<std::string>& texts);

/// "NAME=value", or "NAME" for the value that this program has; later ones win.
std::map<std::string, std::string> parse_variables(const std::vector<std::string>& texts);

}  // namespace pyro::cli
