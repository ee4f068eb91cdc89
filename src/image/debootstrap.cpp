#include "image/debootstrap.hpp"

#include "base/io.hpp"
#include "image/apt_sources.hpp"
#include "image/catalogue.hpp"
#include "image/command.hpp"
#include "image/tree.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

#include <unistd.h>

#include <fmt/format.h>

namespace pyro::image {

namespace {

/// Its only dependency is the current cloud kernel.
constexpr std::string_view kKernelMetaPackage = "linux-image-cloud-amd64";
/// The stanzas of 20,000 packages.
constexpr std::size_t kMaxStanzasBytes = 64u << 20;

/// Runs in mmdebstrap before anything is unpacked into the tree $1: /usr is merged from the start, and the package that
/// would merge it later is kept out, since it brings all of Perl with it.
constexpr std::string_view kSetupHook = R"(set -eu
for d in bin sbin lib lib64; do
  mkdir -p "$1/usr/$d"
  ln -s "usr/$d" "$1/$d"
done
mkdir -p "$1/etc/apt/preferences.d"
printf 'Package: usrmerge\nPin: release *\nPin-Priority: -1\n' > "$1/etc/apt/preferences.d/99pyro"
)";

/// What nobody reads in a sandbox is a fifth of a tree. Copyright files stay, as their licences want.
constexpr std::string_view kExcludedPaths = R"(path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-include=/usr/share/locale/locale.alias
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/doc-base/*
path-exclude=/usr/share/lintian/*
)";

/// Runs in mmdebstrap with the tree as $1 and our directory as $2, while the package index is there. Says which
/// packages are in the tree, finds the guest kernel's package, and fetches it unless $2/kernels-known has it.
constexpr std::string_view kHook = R"(set -eu
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
root=$1 out=$2 meta=$3
: > "$out/stanzas"
if [ -s "$root/var/lib/dpkg/status" ]; then
  dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Package}:${Architecture}=${Version}\n' |
    xargs -r apt-cache show --no-all-versions > "$out/stanzas"
fi
kernel=$(apt-cache depends --important "$meta" | sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
[ -n "$kernel" ] || { echo "the package index has no $meta" >&2; exit 1; }
apt-cache show --no-all-versions "$kernel" > "$out/kernel-stanza"
version=$(sed -n 's/^Version: //p' "$out/kernel-stanza" | head -n 1)
if ! grep -qxF "$kernel $version" "$out/kernels-known"; then
  echo "P: kernel $kernel"
  mkdir "$out/kernel"
  cd "$out/kernel"
  apt-get download "$kernel=$version"
  mv ./*.deb ../kernel.deb
fi
)";

/// apt settings of this host that decide whether and how its package sources can be reached.
std::string host_apt_settings() {
  std::string settings = "Acquire::Languages \"none\";\n";
  Command dump;
  dump.argv = {"apt-config", "dump", "--format", "%F \"%v\";%n", "Acquire"};
  dump.on_line = [&](std::string_view line) {
    for (const char* wanted : {"Acquire::http", "Acquire::https", "Acquire::ftp", "Acquire::Check-", "Acquire::Retries",
                               "Acquire::ForceIPv", "Acquire::Max-", "Acquire::Min-", "Acquire::Proxy"}) {
      if (line.starts_with(wanted)) {
        settings += std::string(line) + "\n";
      }
    }
  };
  // Without them apt has its defaults, which suit most hosts.
  (void)run_tool(dump).ok();
  // Credentials for sources that want them.
  for (const char* option :
       {"Dir::Etc::netrc \"/etc/apt/auth.conf\";\n", "Dir::Etc::netrcparts \"/etc/apt/auth.conf.d\";\n"}) {
    settings += option;
  }
  return settings;
}

base::Status put_text(const std::string& path, std::string_view text) {
  return base::write_file_atomically(path, text, 0644);
}

/// A host without a network gets to know what else it can do.
base::Status explain_unreachable(base::Status status) {
  if (!status.ok() && status.error().message.find("Failed to fetch") != std::string::npos) {
    base::Error error = std::move(status).error();
    error.message =
        "cannot fetch Debian's packages: check the network and http_proxy, or import an environment that "
        "was exported elsewhere (" +
        error.message + ")";
    return error;
  }
  return status;
}

std::uint64_t leading_number(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

void BuildProgress::line(std::string_view text) {
  const auto starts = [&](std::string_view prefix) { return text.starts_with(prefix); };
  const auto word = [&](int index) {
    std::istringstream in{std::string(text)};
    std::string out;
    for (int i = 0; i <= index && in >> out; ++i) {
    }
    return out;
  };
  if (starts("I: running apt-get update")) {
    report_.progress("index", "fetching the package index");
  } else if (starts("Get:")) {
    // Get:<n> <address> <suite>/<component> <arch> <package> <arch> <version> [<size>]; of index files the
    // package is "Packages".
    const std::string package = word(4);
    if (downloads_ != 0 && !package.empty() && package != "Packages") {
      ++downloaded_;
      report_.progress("download", "downloading " + package, std::min(downloaded_, downloads_), downloads_);
    }
  } else if (const auto at = text.find(" newly installed"); at != std::string_view::npos) {
    // "0 upgraded, 27 newly installed, 0 to remove ..."
    const auto comma = text.find(", ");
    downloads_ += comma < at ? leading_number(text.substr(comma + 2)) : 0;
  } else if (starts("I: extracting archives")) {
    report_.progress("extract", "extracting the essential packages");
  } else if (starts("I: installing essential packages")) {
    report_.progress("install", "installing the essential packages");
  } else if (starts("Setting up ")) {
    ++installed_;
    report_.progress("install", "installing " + word(2), std::min(installed_, downloads_), downloads_);
  } else if (starts("P: kernel ")) {
    report_.progress("kernel", "downloading " + word(2));
  } else if (starts("I: cleaning")) {
    report_.progress("clean", "cleaning up the tree");
  }
}

std::vector<state::Package> parse_package_stanzas(std::string_view text) {
  std::vector<state::Package> packages;
  state::Package current;
  const auto flush = [&] {
    if (!current.name.empty()) {
      packages.push_back(std::exchange(current, {}));
    }
  };
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    const auto value = [&](std::string_view key) {
      return line.starts_with(key) ? line.substr(key.size()) : std::string();
    };
    if (line.empty()) {
      flush();
    } else if (const auto name = value("Package: "); !name.empty()) {
      current.name = name;
    } else if (const auto version = value("Version: "); !version.empty()) {
      current.version = version;
    } else if (const auto sha256 = value("SHA256: "); !sha256.empty()) {
      current.sha256 = sha256;
    }
  }
  flush();
  const auto key = [](const state::Package& package) { return std::tie(package.name, package.version); };
  std::sort(packages.begin(), packages.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  packages.erase(std::unique(packages.begin(), packages.end()), packages.end());
  return packages;
}

base::Result<DebianTree> run_mmdebstrap(const TempDir& temp, const std::string& root,
                                        std::optional<std::span<const std::string_view>> packages,
                                        std::span<const state::Package> known_kernels, Report& report) {
  PYRO_TRY(require_tool("mmdebstrap", "mmdebstrap"));
  PYRO_TRY_ASSIGN(const std::string sources, read_host_sources("/etc/apt"));
  std::string known;
  for (const state::Package& kernel : known_kernels) {
    known += kernel.name + " " + kernel.version + "\n";
  }
  PYRO_TRY(put_text(temp.file("host.sources"), sources));
  PYRO_TRY(put_text(temp.file("apt.conf"), host_apt_settings()));
  PYRO_TRY(put_text(temp.file("kernels-known"), known));
  PYRO_TRY(put_text(temp.file("dpkg.cfg"), kExcludedPaths));
  PYRO_TRY(put_text(temp.file("setup.sh"), kSetupHook));
  PYRO_TRY(put_text(temp.file("hook.sh"), kHook));

  BuildProgress progress(report);
  Command command;
  command.argv = {"mmdebstrap", "--mode=root", "--format=directory", "--verbose", "--architectures=amd64",
                  packages ? "--variant=minbase" : "--variant=custom", "--aptopt=" + temp.file("apt.conf"),
                  "--dpkgopt=" + temp.file("dpkg.cfg"), "--setup-hook=sh \"$PYRO_BUILD_DIR/setup.sh\" \"$1\"",
                  // $1 is the tree; the rest is ours and has no quotes in it, but $PYRO_HOME may.
                  "--customize-hook=sh \"$PYRO_BUILD_DIR/hook.sh\" \"$1\" \"$PYRO_BUILD_DIR\" \"$PYRO_KERNEL_META\""};
  if (packages && !packages->empty()) {
    command.argv.push_back(fmt::format("--include={}", fmt::join(*packages, ",")));
  }
  command.argv.insert(command.argv.end(), {std::string(kSuite), root, temp.file("host.sources")});
  command.env = {{"SOURCE_DATE_EPOCH", std::to_string(kSourceDateEpoch)},
                 {"DEBIAN_FRONTEND", "noninteractive"},
                 {"TMPDIR", temp.path()},
                 {"PYRO_BUILD_DIR", temp.path()},
                 {"PYRO_KERNEL_META", std::string(kKernelMetaPackage)}};
  command.on_line = [&](std::string_view line) { progress.line(line); };
  report.progress("index", "fetching the package index");
  PYRO_TRY(explain_unreachable(run_tool(command)));

  DebianTree tree;
  PYRO_TRY_ASSIGN(const std::string stanzas, base::read_file(temp.file("stanzas"), kMaxStanzasBytes));
  tree.packages = parse_package_stanzas(stanzas);
  PYRO_TRY_ASSIGN(const std::string kernel_stanza, base::read_file(temp.file("kernel-stanza"), kMaxStanzasBytes));
  const auto kernels = parse_package_stanzas(kernel_stanza);
  if (kernels.empty() || (packages && tree.packages.empty())) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "mmdebstrap did not say which packages it installed");
  }
  tree.kernel_package = kernels.front();
  if (::access(temp.file("kernel.deb").c_str(), R_OK) == 0) {
    tree.kernel_deb = temp.file("kernel.deb");
  }
  return tree;
}

}  // namespace pyro::image
