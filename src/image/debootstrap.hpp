// Driving mmdebstrap: a tree of Debian packages, the list of what is in it, and the guest kernel's package, all from
// one state of the package index.
#pragma once

#include "base/result.hpp"
#include "image/report.hpp"
#include "image/store.hpp"
#include "state/environment.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pyro::image {

struct DebianTree {
  /// The packages installed, sorted by name.
  std::vector<state::Package> packages;
  state::Package kernel_package;
  /// The kernel's package file in `temp`; "" if the caller had it.
  std::string kernel_deb;
};

/// Fetches the package index and the guest kernel's package unless it is one of `known_kernels`. With `packages` also
/// makes the tree `root` of Debian's minimal system and them. Run as root of the worker's namespaces.
/// Errors: UNSUPPORTED (a tool or package source is missing), ENVIRONMENT, LIMIT.
base::Result<DebianTree> run_mmdebstrap(const TempDir& temp, const std::string& root,
                                        std::optional<std::span<const std::string_view>> packages,
                                        std::span<const state::Package> known_kernels, Report& report);

/// Reads stanzas of `apt-cache show`: Package, Version, SHA256. Pure.
std::vector<state::Package> parse_package_stanzas(std::string_view text);

/// Turns mmdebstrap's lines into progress. Pure but for `report`.
class BuildProgress {
 public:
  explicit BuildProgress(Report& report) : report_(report) {}
  void line(std::string_view text);

 private:
  Report& report_;
  std::uint64_t downloaded_ = 0;
  std::uint64_t downloads_ = 0;
  std::uint64_t installed_ = 0;
};

}  // namespace pyro::image
