// What a client can ask for, one function each. They run in a worker (worker.hpp) and may be killed at any point.
#pragma once

#include "base/result.hpp"
#include "image/report.hpp"
#include "image/request.hpp"
#include "image/store.hpp"

#include <string_view>

namespace pyro::image {

struct Job {
  const Request& request;
  const Store& store;
  Report& report;
};

/// All environments: those in the store and those of the catalogue.
base::Result<Outcome> list_environments(const Job& job);
/// One environment with its manifest; verified in full if the request says so.
base::Result<Outcome> inspect_environment(const Job& job);
/// A full check that rewrites the stamp.
base::Result<Outcome> verify_operation(const Job& job);
/// Builds an environment of the catalogue unless it is there and sound. In namespaces.
base::Result<Outcome> build_environment(const Job& job);
/// Registers a root file system (directory or tarball). In namespaces.
base::Result<Outcome> import_root(const Job& job);
/// Registers what export wrote.
base::Result<Outcome> import_bundle(const Job& job);
/// Writes one environment to one file, which must not exist.
base::Result<Outcome> export_environment(const Job& job);
/// Removes what nothing needs. In namespaces where they can be had: left-overs of builds have foreign owners.
base::Result<Outcome> prune_store(const Job& job);
/// Makes the pristine scratch image of a size.
base::Result<Outcome> make_scratch(const Job& job);

/// Whether a file is a bundle, as opposed to a tarball of a root file system. Errors: NOT_FOUND, INVALID.
base::Result<bool> is_bundle(const std::string& path);

/// EXISTS if the request's name is taken by an environment that can be read, unless the request says force. Call with
/// the lock of the name.
base::Status check_name_is_free(const Job& job);

/// What the client is told of an environment in the store.
EnvironmentInfo describe(const StoredEnvironment& found);
/// NOT_FOUND for a name that is nowhere, with the names that are; for one of the catalogue, that it is to be built.
base::Error unknown_environment(const Store& store, std::string_view name);
/// Outcome with one environment.
Outcome outcome_of(const StoredEnvironment& found);

}  // namespace pyro::image
