// Full checks of what the store holds.
#pragma once

#include "base/result.hpp"
#include "image/store.hpp"
#include "state/environment.hpp"

#include <string>

namespace pyro::image {

/// Reads a manifest and checks its digest. Errors: ENVIRONMENT.
base::Result<state::Manifest> read_manifest(const Store& store, const state::Digest& digest);

/// Checks size and digest of one blob and gives its stamp. Errors: ENVIRONMENT, naming `what`.
base::Result<state::FileStamp> check_blob(const Store& store, const state::BlobRef& blob, const std::string& what,
                                          Report* report = nullptr);

/// Checks all files of an environment and gives their stamps. Errors: ENVIRONMENT.
base::Result<state::Stamp> check_files(const Store& store, const state::Digest& digest, const state::Manifest& manifest,
                                       Report& report);

/// Whether the files are as they were at the last full check, by their stamps alone.
bool matches_stamp(const Store& store, const state::Digest& digest, const state::Manifest& manifest);

/// Checks an environment in full and writes its stamp; a damaged one loses its stamp. Errors: NOT_FOUND, ENVIRONMENT.
base::Result<StoredEnvironment> verify_environment(const Store& store, std::string_view name, Report& report);

}  // namespace pyro::image
