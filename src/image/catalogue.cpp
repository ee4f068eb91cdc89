#include "image/catalogue.hpp"

namespace pyro::image {

namespace {

/// What agents reach for without asking: version control, Python, transfer, archives, search, text and data tools.
const std::vector<std::string_view> kAgentPackages = {
    "bc",
    "bzip2",
    "ca-certificates",
    "curl",
    "file",
    "git",
    "iproute2",
    "jq",
    "less",
    "lsof",
    "make",
    "netbase",
    "openssh-client",
    "patch",
    "procps",
    "psmisc",
    "python-is-python3",
    "python3",
    "python3-pip",
    "ripgrep",
    "rsync",
    "sqlite3",
    "time",
    "tree",
    "unzip",
    "wget",
    "xxd",
    "xz-utils",
    "zip",
    "zstd",
};

const std::vector<std::string_view> kBuildPackages = {
    "cmake", "g++", "gcc", "gdb", "ninja-build", "pkg-config", "python3-dev", "python3-venv",
};

std::vector<std::string_view> joined(const std::vector<std::string_view>& first,
                                     const std::vector<std::string_view>& second) {
  std::vector<std::string_view> out = first;
  out.insert(out.end(), second.begin(), second.end());
  return out;
}

const std::vector<CatalogueEntry>& entries() {
  static const std::vector<CatalogueEntry> all = {
      {"debian:12-base", "Debian 12, minimal: shell, coreutils, apt", {}, 700},
      {"debian:12", "Debian 12 for agents: git, Python 3, curl, ripgrep, jq and common tools", kAgentPackages, 1500},
      {"debian:12-build", "Debian 12 to compile in: debian:12 with gcc, g++, make, cmake, Python headers",
       joined(kAgentPackages, kBuildPackages), 2800},
  };
  return all;
}

}  // namespace

std::span<const CatalogueEntry> catalogue() {
  return entries();
}

const CatalogueEntry* find_in_catalogue(std::string_view name) {
  for (const CatalogueEntry& entry : entries()) {
    if (entry.name == name) {
      return &entry;
    }
  }
  return nullptr;
}

}  // namespace pyro::image
