// What pyro-image tells its client: one JSON object per line on stdout. docs/architecture/image.md has the protocol.
// Thread rule: one thread.
#pragma once

#include "base/result.hpp"
#include "state/environment.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyro::image {

/// One environment as the client shows it.
struct EnvironmentInfo {
  std::string name;
  std::string description;
  /// False: it is in the catalogue and not built.
  bool available = false;
  std::string digest;
  std::string kernel_version;
  std::uint64_t size_bytes = 0;
  std::int64_t created_at = 0;
  /// Set by inspect only.
  std::optional<state::Manifest> manifest;
};

/// What an operation gives.
struct Outcome {
  std::vector<EnvironmentInfo> environments;
  /// Set by prune.
  std::optional<std::uint64_t> freed_bytes;
  /// Set by scratch and export: the file.
  std::string path;
};

class Report {
 public:
  /// `fd` is borrowed. A client that is gone makes writing fail: nobody is left to tell, so that is ignored.
  explicit Report(int fd) noexcept : fd_(fd) {}

  /// A step of the work. `total` 0: not known. Lines are dropped so that at most ten a second go out, the
  /// first and the last of a stage excepted.
  void progress(std::string_view stage, std::string_view message, std::uint64_t done = 0, std::uint64_t total = 0);
  /// The last line, one of the two.
  void done(const Outcome& outcome);
  void error(const base::Error& error);

 private:
  void write_line(std::string line);

  int fd_;
  std::string stage_;
  std::int64_t last_line_ms_ = 0;
};

}  // namespace pyro::image
