// Steps that building and importing share.
#pragma once

#include "base/result.hpp"
#include "image/kernel.hpp"
#include "image/operations.hpp"

#include <optional>
#include <string>

namespace pyro::image {

/// The kernel for an imported root file system: that of the newest environment of the catalogue that is here, else a
/// cached one, else the current one of the package sources. Errors: as run_mmdebstrap().
base::Result<KernelHold> kernel_for_import(const Job& job, const TempDir& temp);

/// Makes the image of the tree `root`, and registers it with the kernel `held` under the request's name.
base::Result<Outcome> register_tree(const Job& job, const TempDir& temp, const std::string& root,
                                    const KernelHold& held, state::Manifest manifest);

}  // namespace pyro::image
