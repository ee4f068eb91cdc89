#include "image/build.hpp"

#include "image/catalogue.hpp"
#include "image/command.hpp"
#include "image/debootstrap.hpp"
#include "image/erofs.hpp"
#include "image/tree.hpp"
#include "image/verify.hpp"

#include <algorithm>

namespace pyro::image {

namespace {

/// The environment, if it is here and its files are what its manifest says.
std::optional<StoredEnvironment> find_sound(const Job& job) {
  const std::string& name = job.request.name;
  const auto found = job.store.find(name);
  if (!found.ok()) {
    return std::nullopt;
  }
  if (matches_stamp(job.store, found->record.manifest, found->manifest) ||
      verify_environment(job.store, name, job.report).ok()) {
    return *found;
  }
  job.report.progress("damaged", fmt::format("environment '{}' is damaged and is built again", name));
  return std::nullopt;
}

std::vector<state::Package> packages_of(const std::vector<KernelHold>& kernels) {
  std::vector<state::Package> packages;
  packages.reserve(kernels.size());
  for (const KernelHold& held : kernels) {
    packages.push_back(held.kernel().package);
  }
  return packages;
}

/// The kernel that a run of mmdebstrap found: the one it fetched, or the cached one of the same package.
base::Result<KernelHold> kernel_of(const Job& job, const TempDir& temp, const DebianTree& tree,
                                   std::vector<KernelHold> cached) {
  if (!tree.kernel_deb.empty()) {
    return add_kernel(job.store, temp, tree.kernel_deb, tree.kernel_package, job.report);
  }
  const auto known = std::find_if(cached.begin(), cached.end(), [&](const KernelHold& held) {
    const state::Package& package = held.kernel().package;
    return package.name == tree.kernel_package.name && package.version == tree.kernel_package.version;
  });
  if (known == cached.end()) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "the guest kernel {} was not downloaded", tree.kernel_package.name);
  }
  return std::move(*known);
}

base::Result<StoredEnvironment> build_entry(const Job& job, const CatalogueEntry& entry) {
  PYRO_TRY(require_tool("mkfs.erofs", "erofs-utils"));
  PYRO_TRY(job.store.check_space(entry.needs_mib << 20, fmt::format("building '{}'", entry.name)));
  PYRO_TRY_ASSIGN(const TempDir temp, job.store.make_temp(job.report));
  std::vector<KernelHold> cached = cached_kernels(job.store);
  const std::string root = temp.file("root");
  PYRO_TRY_ASSIGN(const DebianTree tree,
                  run_mmdebstrap(temp, root, std::span(entry.packages), packages_of(cached), job.report));
  PYRO_TRY_ASSIGN(const KernelHold kernel, kernel_of(job, temp, tree, std::move(cached)));
  PYRO_TRY(tidy_built_tree(root));
  state::Manifest manifest;
  manifest.description = entry.description;
  manifest.packages = tree.packages;
  PYRO_TRY(register_tree(job, temp, root, kernel, std::move(manifest)));
  return job.store.find(entry.name);
}

}  // namespace

base::Result<KernelHold> kernel_for_import(const Job& job, const TempDir& temp) {
  std::optional<StoredEnvironment> newest;
  for (const CatalogueEntry& entry : catalogue()) {
    const auto found = job.store.find(entry.name);
    if (found.ok() && matches_stamp(job.store, found->record.manifest, found->manifest) &&
        (!newest || found->record.created_at > newest->record.created_at)) {
      newest = *found;
    }
  }
  if (newest) {
    Kernel kernel;
    kernel.version = newest->manifest.kernel_version;
    kernel.image = newest->manifest.kernel;
    kernel.initramfs = newest->manifest.initramfs;
    const auto& packages = newest->manifest.packages;
    const auto package = std::find_if(packages.begin(), packages.end(), [&](const state::Package& candidate) {
      return candidate.name == "linux-image-" + kernel.version;
    });
    if (package != packages.end()) {
      kernel.package = *package;
    }
    if (auto held = KernelHold::open(job.store, std::move(kernel), false); held.ok()) {
      return held;
    }
  }
  std::vector<KernelHold> cached = cached_kernels(job.store);
  if (!cached.empty()) {
    return std::move(cached.back());
  }
  PYRO_TRY_ASSIGN(const DebianTree tree, run_mmdebstrap(temp, temp.file("kernel-root"), std::nullopt, {}, job.report));
  return kernel_of(job, temp, tree, {});
}

base::Result<Outcome> register_tree(const Job& job, const TempDir& temp, const std::string& root,
                                    const KernelHold& held, state::Manifest manifest) {
  const Kernel& kernel = held.kernel();
  const std::string image = temp.file("root.erofs");
  PYRO_TRY(make_erofs(root, image, job.report));
  manifest.kernel = kernel.image;
  manifest.kernel_version = kernel.version;
  manifest.initramfs = kernel.initramfs;
  if (!kernel.package.name.empty()) {
    manifest.packages.push_back(kernel.package);
    std::sort(manifest.packages.begin(), manifest.packages.end(),
              [](const auto& a, const auto& b) { return std::tie(a.name, a.version) < std::tie(b.name, b.version); });
  }
  PYRO_TRY_ASSIGN(const FileLock store_lock, job.store.lock(kStoreLock, LockKind::shared, job.report));
  PYRO_TRY(held.restore(job.store, temp, job.report));
  PYRO_TRY_ASSIGN(manifest.root, job.store.add_blob(image, "root image", job.report));
  PYRO_TRY(job.store.commit(temp, job.request.name, manifest, job.report));
  PYRO_TRY_ASSIGN(const StoredEnvironment found, job.store.find(job.request.name));
  return outcome_of(found);
}

base::Result<Outcome> build_environment(const Job& job) {
  const std::string& name = job.request.name;
  const CatalogueEntry* entry = find_in_catalogue(name);
  // Of many that want it at once one builds; the others find it when they get the lock.
  PYRO_TRY_ASSIGN(const FileLock name_lock, job.store.lock("name-" + name, LockKind::exclusive, job.report));
  if (entry == nullptr) {
    auto found = job.store.find(name);
    if (!found.ok()) {
      return found.error().code == PYRO_ERROR_NOT_FOUND ? unknown_environment(job.store, name) : found.error();
    }
    return job.request.force
               ? base::make_error(PYRO_ERROR_INVALID,
                                  "environment '{}' was imported, so it cannot be built: import it again", name)
               : base::Result<Outcome>(outcome_of(*found));
  }
  if (!job.request.force) {
    if (const auto found = find_sound(job)) {
      return outcome_of(*found);
    }
  }
  job.store.sweep();
  PYRO_TRY_ASSIGN(const StoredEnvironment built, build_entry(job, *entry));
  return outcome_of(built);
}

}  // namespace pyro::image
