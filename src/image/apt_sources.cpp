#include "image/apt_sources.hpp"

#include "base/io.hpp"
#include "image/catalogue.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>

#include <fmt/format.h>

namespace pyro::image {

namespace {

/// apt reads files of any size; a sources file beyond this is a mistake.
constexpr std::size_t kMaxSourcesBytes = 1u << 20;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::istringstream in{std::string(text)};
  for (std::string word; in >> word;) {
    words.push_back(word);
  }
  return words;
}

std::string join(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

std::string trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) {
    return {};
  }
  return std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

std::string field(const AptSource& source, const std::string& name) {
  const auto found = source.find(name);
  return found == source.end() ? std::string() : found->second;
}

/// Options of the one-line format by their deb822 names; the others do not matter to a build.
void add_option(AptSource& source, std::string_view option) {
  const auto equals = option.find('=');
  if (equals == std::string_view::npos) {
    return;
  }
  static const std::map<std::string_view, std::string> option_names = {{"signed-by", "Signed-By"},
                                                                       {"trusted", "Trusted"},
                                                                       {"arch", "Architectures"},
                                                                       {"check-valid-until", "Check-Valid-Until"},
                                                                       {"check-date", "Check-Date"}};
  const auto name = option_names.find(option.substr(0, equals));
  if (name != option_names.end()) {
    std::string value(option.substr(equals + 1));
    std::replace(value.begin(), value.end(), ',', ' ');
    source[name->second] = value;
  }
}

/// Suites of bookworm that a build takes packages from.
bool is_wanted_suite(const std::string& suite) {
  const std::string base(kSuite);
  return suite == base || suite == base + "-updates" || suite == base + "-security";
}

/// Third parties have a "bookworm" with a "main" too. Debian's own archive and its mirrors are told by their key or,
/// where no key is named, by a path element of their address that begins with "debian".
bool is_debian_archive(const AptSource& source) {
  const std::string key = field(source, "Signed-By");
  if (key.find("debian-archive") != std::string::npos) {
    return true;
  }
  if (!key.empty() && key.find("BEGIN PGP") == std::string::npos) {
    return false;
  }
  for (const std::string& uri : words_of(field(source, "URIs"))) {
    const auto scheme = uri.find("://");
    const auto host_end = uri.find('/', scheme == std::string::npos ? 0 : scheme + 3);
    if (host_end != std::string::npos && uri.find("/debian", host_end) != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::vector<AptSource> parse_one_line_sources(std::string_view text) {
  std::vector<AptSource> sources;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    std::string rest = trim(std::string_view(line).substr(0, line.find('#')));
    AptSource source;
    if (const auto open = rest.find('['); open != std::string::npos) {
      const auto close = rest.find(']', open);
      if (close == std::string::npos) {
        continue;
      }
      for (const std::string& option : words_of(rest.substr(open + 1, close - open - 1))) {
        add_option(source, option);
      }
      rest.replace(open, close - open + 1, " ");
    }
    const std::vector<std::string> words = words_of(rest);
    if (words.size() < 4) {
      continue;
    }
    source["Types"] = words[0];
    source["URIs"] = words[1];
    source["Suites"] = words[2];
    source["Components"] = join({words.begin() + 3, words.end()});
    sources.push_back(std::move(source));
  }
  return sources;
}

std::vector<AptSource> parse_deb822_sources(std::string_view text) {
  std::vector<AptSource> sources;
  AptSource current;
  std::string last;
  const auto flush = [&] {
    if (!current.empty()) {
      sources.push_back(std::exchange(current, {}));
    }
    last.clear();
  };
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.front() == '#') {
      continue;
    }
    if (trim(line).empty()) {
      flush();
    } else if (line.front() == ' ' || line.front() == '\t') {
      if (!last.empty()) {
        current[last] += "\n " + trim(line);
      }
    } else if (const auto colon = line.find(':'); colon != std::string::npos) {
      last = line.substr(0, colon);
      current[last] = trim(std::string_view(line).substr(colon + 1));
    }
  }
  flush();
  return sources;
}

std::vector<AptSource> select_debian_sources(const std::vector<AptSource>& sources) {
  std::vector<AptSource> selected;
  for (const AptSource& source : sources) {
    const auto types = words_of(field(source, "Types"));
    const auto components = words_of(field(source, "Components"));
    std::vector<std::string> suites = words_of(field(source, "Suites"));
    std::erase_if(suites, [](const std::string& suite) { return !is_wanted_suite(suite); });
    const auto has = [](const std::vector<std::string>& words, const char* word) {
      return std::find(words.begin(), words.end(), word) != words.end();
    };
    const std::string enabled = field(source, "Enabled");
    if (!has(types, "deb") || !has(components, "main") || suites.empty() || enabled == "no" || enabled == "false" ||
        !is_debian_archive(source)) {
      continue;
    }
    AptSource out;
    out["Types"] = "deb";
    out["URIs"] = join(words_of(field(source, "URIs")));
    out["Suites"] = join(suites);
    out["Components"] = "main";
    for (const char* kept : {"Signed-By", "Trusted", "Architectures", "Check-Valid-Until", "Check-Date"}) {
      if (const std::string value = field(source, kept); !value.empty()) {
        out[kept] = value;
      }
    }
    selected.push_back(std::move(out));
  }
  return selected;
}

std::string write_deb822(const std::vector<AptSource>& sources) {
  std::string out;
  for (const AptSource& source : sources) {
    for (const auto& [name, value] : source) {
      out += fmt::format("{}:{}{}\n", name, value.starts_with("\n") ? "" : " ", value);
    }
    out += "\n";
  }
  return out;
}

base::Result<std::string> read_host_sources(const std::string& apt_dir) {
  namespace fs = std::filesystem;
  // In apt's order, so that the same host gives the same text.
  std::set<std::string> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(apt_dir + "/sources.list.d", ignored)) {
    files.insert(entry.path().string());
  }
  std::vector<AptSource> sources;
  const auto add = [&](const std::string& file, bool deb822) {
    // A file that cannot be read is one that apt would complain about; the others may do.
    if (auto text = base::read_file(file, kMaxSourcesBytes); text.ok()) {
      auto parsed = deb822 ? parse_deb822_sources(*text) : parse_one_line_sources(*text);
      sources.insert(sources.end(), parsed.begin(), parsed.end());
    }
  };
  add(apt_dir + "/sources.list", false);
  for (const std::string& file : files) {
    if (file.ends_with(".list") || file.ends_with(".sources")) {
      add(file, file.ends_with(".sources"));
    }
  }
  const std::vector<AptSource> selected = select_debian_sources(sources);
  const bool has_release = std::any_of(selected.begin(), selected.end(), [](const AptSource& source) {
    const auto suites = words_of(field(source, "Suites"));
    return std::find(suites.begin(), suites.end(), kSuite) != suites.end();
  });
  if (!has_release) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "this host has no package source for Debian 12 ({}) in {}, so no environment can be built "
                            "here: export one on a Debian 12 host and run 'pyro env import NAME FILE'",
                            kSuite, apt_dir);
  }
  return write_deb822(selected);
}

}  // namespace pyro::image
