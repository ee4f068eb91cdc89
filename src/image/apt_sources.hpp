// The host's own package sources, reduced to those of Debian's bookworm, so that no mirror's name is built in.
// Parsing is pure; read_host_sources() does the reading.
#pragma once

#include "base/result.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pyro::image {

/// One stanza of a deb822 source: field name (as deb822 spells it) to value. Multi-line values keep their newlines.
using AptSource = std::map<std::string, std::string>;

/// Reads one-line format (sources.list(5)). Lines that it does not understand are skipped, as apt would refuse them.
std::vector<AptSource> parse_one_line_sources(std::string_view text);
/// Reads deb822 format.
std::vector<AptSource> parse_deb822_sources(std::string_view text);

/// Whether apt's source is a Debian archive that has bookworm (not a third party's for bookworm), and if so which of
/// its suites count. The result has Suites, Components and Types reduced to what is used; empty if nothing is.
std::vector<AptSource> select_debian_sources(const std::vector<AptSource>& sources);

/// deb822 text for all of them.
std::string write_deb822(const std::vector<AptSource>& sources);

/// What this host has in `apt_dir` ("/etc/apt"), selected, as deb822 text. Errors: UNSUPPORTED if it has none.
base::Result<std::string> read_host_sources(const std::string& apt_dir);

}  // namespace pyro::image
