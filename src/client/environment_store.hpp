// Looks an environment up in the store and checks cheaply that its files are the ones that were
// checked in full: size, inode, mtime and ctime of the opened descriptors, so that what was checked is
// what the VM gets. Building and full checks are pyro-image's.
// Thread rule: free functions; pyro-image may change the store at any time.
#pragma once

#include "base/fd.hpp"

#include <optional>
#include <string>

namespace pyro::client {

/// The files of an environment, open for reading.
struct EnvironmentFiles {
  base::Fd kernel;
  base::Fd initramfs;
  base::Fd root;
  /// "sha256:..." of the manifest.
  std::string digest;
  std::string kernel_version;
};

/// What pyro-image has to do before an environment can be used.
enum class EnvironmentNeed { nothing, build, verify };

struct EnvironmentLookup {
  EnvironmentNeed need = EnvironmentNeed::nothing;
  /// Why, in words; for a log and for the error if it does not help.
  std::string why;
  /// Filled if nothing is needed.
  EnvironmentFiles files;
};

/// `name` has passed state::check_environment_name(). Never fails: what is wrong becomes a need.
EnvironmentLookup look_up_environment(const std::string& home, const std::string& name);

/// The files of the environment with this digest ("sha256:..."), if they are all here and as they were last checked.
std::optional<EnvironmentFiles> look_up_digest(const std::string& home, const std::string& digest);

/// The pristine scratch image of `mib`, or nothing if it has to be made first.
std::optional<base::Fd> open_scratch_image(const std::string& home, std::uint32_t mib);

/// Whether any environment is there, for advice only.
bool has_environments(const std::string& home);

}  // namespace pyro::client
