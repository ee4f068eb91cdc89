#include "image/kernel.hpp"
#include "image/operations.hpp"
#include "image/verify.hpp"

#include "base/io.hpp"
#include "state/vm_record.hpp"

#include <filesystem>
#include <functional>
#include <set>

#include <sys/stat.h>
#include <unistd.h>

namespace pyro::image {

namespace {

namespace fs = std::filesystem;

std::vector<std::string> files_in(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(directory, failure)) {
    files.push_back(entry.path().string());
  }
  return files;
}

/// Removes the files of a directory that `is_needed` does not want; gives the bytes freed.
std::uint64_t remove_others(const std::string& directory, const std::function<bool(const std::string&)>& is_needed) {
  std::uint64_t freed = 0;
  for (const std::string& file : files_in(directory)) {
    struct stat info {};
    if (is_needed(file.substr(file.find_last_of('/') + 1)) || ::lstat(file.c_str(), &info) != 0) {
      continue;
    }
    // Virtual machines that run from a file keep it open, so removing its name does not disturb them.
    freed += ::unlink(file.c_str()) == 0 ? static_cast<std::uint64_t>(info.st_blocks) * 512 : 0;
  }
  return freed;
}

struct Needed {
  std::set<std::string> names;
  /// Hexadecimal digests.
  std::set<std::string> manifests;
  std::set<std::string> blobs;
  bool has(const state::BlobRef& blob) const { return blobs.contains(blob.digest.hex()); }
};

// Kept VMs start again on the root that their disk belongs to, whatever its name stands for by now.
void add_roots_of_vms(const Store& store, Needed& needed) {
  for (const std::string& folder : files_in(store.path(state::kVmsDir))) {
    const auto text = base::read_file(folder + "/" + state::kVmRecordFile, state::kMaxVmRecordBytes);
    const auto record = text.ok() ? state::VmRecord::decode(*text) : text.error();
    const auto digest = record.ok() ? state::Digest::parse(record->digest) : record.error();
    if (!digest.ok()) {
      continue;
    }
    const auto manifest_text = base::read_file(store.path(state::manifest_path(*digest)), state::kMaxManifestBytes);
    const auto manifest = manifest_text.ok() ? state::Manifest::decode(*manifest_text) : manifest_text.error();
    if (manifest.ok()) {
      needed.manifests.insert(digest->hex());
      for (const state::BlobRef* blob : {&manifest->kernel, &manifest->initramfs, &manifest->root}) {
        needed.blobs.insert(blob->digest.hex());
      }
    }
  }
}

Needed needed_by(const Store& store, const std::vector<std::string>& names) {
  Needed needed;
  add_roots_of_vms(store, needed);
  for (const std::string& name : names) {
    needed.names.insert(name);
    const auto found = store.find(name);
    if (!found.ok()) {
      // A damaged environment keeps its name, so that it is seen and built again; its files are no use.
      continue;
    }
    needed.manifests.insert(found->record.manifest.hex());
    for (const state::BlobRef* blob : {&found->manifest.kernel, &found->manifest.initramfs, &found->manifest.root}) {
      needed.blobs.insert(blob->digest.hex());
    }
  }
  return needed;
}

bool is_kernel_needed(const Store& store, const Needed& needed, const std::string& file) {
  const auto text = base::read_file(store.path(fmt::format("{}/{}", kKernelsDir, file)), state::kMaxRecordBytes);
  const auto kernel = text.ok() ? Kernel::decode(text.value()) : text.error();
  return kernel.ok() && needed.has(kernel->image) && needed.has(kernel->initramfs);
}

}  // namespace

base::Result<Outcome> prune_store(const Job& job) {
  const Store& store = job.store;
  PYRO_TRY_ASSIGN(const FileLock store_lock, store.lock(kStoreLock, LockKind::exclusive, job.report));
  job.report.progress("prune", "removing what nothing needs");
  const std::string& name = job.request.name;
  if (!name.empty() && ::access(store.path(state::name_path(name)).c_str(), F_OK) != 0) {
    return unknown_environment(store, name);
  }
  std::vector<std::string> kept;
  for (const std::string& candidate : store.names()) {
    const bool removed = name.empty() ? job.request.all : candidate == name;
    if (!removed) {
      kept.push_back(candidate);
    }
  }
  const Needed needed = needed_by(store, kept);
  Outcome outcome;
  std::uint64_t freed = store.sweep_locked();
  // Names first: at no time does a name stand for files that are gone.
  freed += remove_others(store.path(state::kNamesDir), [&](const auto& file) { return needed.names.contains(file); });
  freed +=
      remove_others(store.path(kKernelsDir), [&](const auto& file) { return is_kernel_needed(store, needed, file); });
  freed +=
      remove_others(store.path(state::kVerifiedDir), [&](const auto& file) { return needed.manifests.contains(file); });
  freed += remove_others(store.path(state::kManifestsDir), [&](const auto& file) {
    constexpr std::string_view suffix = ".json";
    return std::string_view(file).ends_with(suffix) &&
           needed.manifests.contains(file.substr(0, file.size() - suffix.size()));
  });
  freed += remove_others(store.path(state::kBlobsDir), [&](const auto& file) { return needed.blobs.contains(file); });
  if (job.request.all) {
    freed += remove_others(store.path(state::kScratchDir), [](const auto&) { return false; });
  }
  for (const std::string& remaining : kept) {
    if (const auto found = store.find(remaining); found.ok()) {
      outcome.environments.push_back(describe(*found));
    }
  }
  outcome.freed_bytes = freed;
  return outcome;
}

}  // namespace pyro::image
