#include "image/catalogue.hpp"
#include "image/operations.hpp"
#include "image/verify.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace pyro::image {

EnvironmentInfo describe(const StoredEnvironment& found) {
  EnvironmentInfo info;
  info.name = found.record.name;
  info.description = found.manifest.description;
  info.available = true;
  info.digest = found.record.manifest.text();
  info.kernel_version = found.manifest.kernel_version;
  info.size_bytes = found.manifest.size_bytes();
  info.created_at = found.record.created_at;
  return info;
}

Outcome outcome_of(const StoredEnvironment& found) {
  Outcome outcome;
  outcome.environments.push_back(describe(found));
  return outcome;
}

base::Error unknown_environment(const Store& store, std::string_view name) {
  if (find_in_catalogue(name) != nullptr) {
    return base::make_error(PYRO_ERROR_NOT_FOUND, "environment '{}' is not built on this host: run 'pyro env build {}'",
                            name, name);
  }
  const auto stored = store.names();
  std::set<std::string> known(stored.begin(), stored.end());
  for (const CatalogueEntry& entry : catalogue()) {
    known.emplace(entry.name);
  }
  return base::make_error(PYRO_ERROR_NOT_FOUND, "there is no environment '{}'; known: {}", name,
                          fmt::join(known, ", "));
}

base::Status check_name_is_free(const Job& job) {
  if (job.request.force || !job.store.find(job.request.name).ok()) {
    return base::success();
  }
  return base::make_error(PYRO_ERROR_EXISTS,
                          "environment '{}' exists already: choose another name or run 'pyro env prune {}' first",
                          job.request.name, job.request.name);
}

base::Result<Outcome> list_environments(const Job& job) {
  Outcome outcome;
  for (const std::string& name : job.store.names()) {
    if (const auto found = job.store.find(name); found.ok()) {
      outcome.environments.push_back(describe(*found));
    } else {
      EnvironmentInfo damaged;
      damaged.name = name;
      damaged.description = found.error().message;
      outcome.environments.push_back(std::move(damaged));
    }
  }
  for (const CatalogueEntry& entry : catalogue()) {
    const bool listed = std::any_of(outcome.environments.begin(), outcome.environments.end(),
                                    [&](const EnvironmentInfo& info) { return info.name == entry.name; });
    if (!listed) {
      EnvironmentInfo info;
      info.name = entry.name;
      info.description = entry.description;
      outcome.environments.push_back(std::move(info));
    }
  }
  std::sort(outcome.environments.begin(), outcome.environments.end(),
            [](const EnvironmentInfo& a, const EnvironmentInfo& b) { return a.name < b.name; });
  return outcome;
}

base::Result<Outcome> verify_operation(const Job& job) {
  auto found = verify_environment(job.store, job.request.name, job.report);
  if (!found.ok()) {
    return found.error().code == PYRO_ERROR_NOT_FOUND ? unknown_environment(job.store, job.request.name)
                                                      : found.error();
  }
  return outcome_of(*found);
}

base::Result<Outcome> inspect_environment(const Job& job) {
  const std::string& name = job.request.name;
  auto found = job.request.verify ? verify_environment(job.store, name, job.report) : job.store.find(name);
  if (found.ok()) {
    Outcome outcome = outcome_of(*found);
    outcome.environments.front().manifest = found->manifest;
    return outcome;
  }
  const CatalogueEntry* entry = find_in_catalogue(name);
  if (found.error().code != PYRO_ERROR_NOT_FOUND) {
    return found.error();
  }
  if (entry == nullptr || job.request.verify) {
    return unknown_environment(job.store, name);
  }
  Outcome outcome;
  EnvironmentInfo info;
  info.name = name;
  info.description = entry->description;
  outcome.environments.push_back(std::move(info));
  return outcome;
}

}  // namespace pyro::image
