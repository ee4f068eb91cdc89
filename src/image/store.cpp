#include "image/store.hpp"

#include "base/clock.hpp"
#include "base/io.hpp"
#include "image/command.hpp"
#include "image/digest.hpp"
#include "image/holes.hpp"
#include "image/tree.hpp"
#include "image/verify.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace pyro::image {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLocksDir = "environments/locks";
constexpr std::string_view kTempDir = "environments/tmp";
/// With less than this a disk counts as full when something failed: file systems refuse before the very last byte.
constexpr std::uint64_t kFullDiskBytes = 4u << 20;

std::string random_id() {
  std::uint64_t value = 0;
  (void)!::getrandom(&value, sizeof(value), 0);
  return fmt::format("{:016x}", value);
}

std::vector<std::string> file_names(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(directory, failure)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

base::Status sync_directory(const std::string& path) {
  PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) {
    return base::errno_error(errno, "cannot sync " + path);
  }
  return base::success();
}

}  // namespace

std::uint64_t free_bytes(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) {
    return 0;
  }
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

TempDir::~TempDir() {
  if (!path_.empty()) {
    // What cannot be removed now is swept by the next process.
    (void)remove_tree(path_).ok();
  }
}

base::Result<Store> Store::open(const std::string& home, pid_t owner) {
  Store store(home, owner);
  for (const std::string_view directory :
       {state::kEnvironmentsDir, state::kNamesDir, state::kManifestsDir, state::kBlobsDir, state::kVerifiedDir,
        state::kScratchDir, kLocksDir, kKernelsDir, kTempDir}) {
    auto made = base::make_directories(store.path(directory), 0700);
    if (made.ok() && ::access(store.path(directory).c_str(), W_OK | X_OK) != 0) {
      made = base::errno_error(errno, "cannot write to " + store.path(directory));
    }
    if (!made.ok()) {
      base::Error error = std::move(made).error();
      error.message += "; set PYRO_HOME to a folder that you may write to";
      return store.explain(std::move(error));
    }
  }
  return store;
}

base::Result<FileLock> Store::lock(std::string_view name, LockKind kind, Report& report) const {
  return FileLock::acquire(path(fmt::format("{}/{}", kLocksDir, name)), kind, owner_, report);
}

base::Result<TempDir> Store::make_temp(Report& report) const {
  // Shared store lock: a sweep must not come between making the directory and locking it.
  PYRO_TRY_ASSIGN(const FileLock store_lock, lock(kStoreLock, LockKind::shared, report));
  const std::string directory = path(fmt::format("{}/{}", kTempDir, random_id()));
  PYRO_TRY(base::make_directories(directory, 0700));
  PYRO_TRY_ASSIGN(auto own, FileLock::try_acquire(directory + "/lock", LockKind::exclusive));
  if (!own) {
    return base::make_error(PYRO_ERROR_INTERNAL, "cannot lock {}", directory);
  }
  return TempDir(directory, std::move(*own));
}

std::uint64_t Store::sweep() const {
  const auto store_lock = FileLock::try_acquire(path(fmt::format("{}/{}", kLocksDir, kStoreLock)), LockKind::exclusive);
  return store_lock.ok() && store_lock.value() ? sweep_locked() : 0;
}

std::uint64_t Store::sweep_locked() const {
  std::uint64_t freed = 0;
  for (const std::string& id : file_names(path(kTempDir))) {
    const std::string directory = path(fmt::format("{}/{}", kTempDir, id));
    const auto own = FileLock::try_acquire(directory + "/lock", LockKind::exclusive);
    if (own.ok() && own.value()) {
      const std::uint64_t size = tree_size(directory);
      freed += remove_tree(directory).ok() ? size : 0;
    }
  }
  return freed;
}

std::vector<std::string> Store::names() const {
  std::vector<std::string> names = file_names(path(state::kNamesDir));
  std::erase_if(names, [&](const std::string& name) {
    const auto text = base::read_file(path(state::name_path(name)), state::kMaxRecordBytes);
    const auto record = text.ok() ? state::NameRecord::decode(text.value()) : text.error();
    return !record.ok() || record.value().name != name;
  });
  return names;
}

base::Result<StoredEnvironment> Store::find(std::string_view name) const {
  const auto text = base::read_file(path(state::name_path(name)), state::kMaxRecordBytes);
  if (!text.ok()) {
    if (text.error().sys_errno == ENOENT) {
      return base::make_error(PYRO_ERROR_NOT_FOUND, "there is no environment '{}'", name);
    }
    return text.error();
  }
  StoredEnvironment found;
  const auto damaged = [&](const base::Error& error) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "environment '{}' is damaged: {}", name, error.message);
  };
  auto record = state::NameRecord::decode(text.value());
  if (!record.ok()) {
    return damaged(record.error());
  }
  found.record = std::move(record).value();
  auto manifest = read_manifest(*this, found.record.manifest);
  if (!manifest.ok()) {
    return damaged(manifest.error());
  }
  found.manifest = std::move(manifest).value();
  return found;
}

base::Result<state::BlobRef> Store::add_blob(const std::string& file, const std::string& what, Report& report) const {
  PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(file, O_RDONLY | O_NOFOLLOW));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) {
    return base::errno_error(errno, "cannot read " + file);
  }
  const auto total = static_cast<std::uint64_t>(info.st_size);
  PYRO_TRY_ASSIGN(const state::BlobRef blob, digest_of_file(fd.get(), file, [&](std::uint64_t done) {
                    report.progress("hashing", "hashing the " + what, done, total);
                  }));
  if (check_blob(*this, blob, what).ok()) {
    // Kept, so that the stamps of other environments with the same file stay true.
    ::unlink(file.c_str());
    return blob;
  }
  // A kernel has megabytes of zeros, which no VM need then copy into its memory.
  if (const auto writable = base::open_file(file, O_RDWR | O_NOFOLLOW); writable.ok()) {
    dig_holes(writable->get(), blob.size);
  }
  if (::fchmod(fd.get(), 0444) != 0 || ::fsync(fd.get()) != 0) {
    return base::errno_error(errno, "cannot write " + file);
  }
  const std::string target = path(state::blob_path(blob.digest));
  if (::rename(file.c_str(), target.c_str()) != 0) {
    return base::errno_error(errno, "cannot put " + target + " in place");
  }
  PYRO_TRY(sync_directory(path(state::kBlobsDir)));
  return blob;
}

base::Status Store::put_record(const TempDir& temp, const std::string& relative, std::string_view content,
                               unsigned mode) const {
  const std::string file = temp.file("record-" + random_id());
  PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(file, O_WRONLY | O_CREAT | O_EXCL, mode));
  PYRO_TRY(base::write_all(fd.get(), base::as_bytes(content), file));
  const std::string target = path(relative);
  if (::fchmod(fd.get(), mode) != 0 || ::fsync(fd.get()) != 0 || ::rename(file.c_str(), target.c_str()) != 0) {
    return base::errno_error(errno, "cannot write " + target);
  }
  return sync_directory(target.substr(0, target.find_last_of('/')));
}

base::Status Store::commit(const TempDir& temp, std::string_view name, const state::Manifest& manifest,
                           Report& report) const {
  const std::string text = manifest.encode();
  PYRO_TRY_ASSIGN(const state::Digest digest, digest_of(text));
  if (!read_manifest(*this, digest).ok()) {
    PYRO_TRY(put_record(temp, state::manifest_path(digest), text, 0444));
  }
  PYRO_TRY_ASSIGN(const state::Stamp stamp, check_files(*this, digest, manifest, report));
  PYRO_TRY(put_record(temp, state::verified_path(digest), stamp.encode(), 0600));
  state::NameRecord record;
  record.name = name;
  record.manifest = digest;
  record.created_at = base::realtime_ns() / 1'000'000'000;
  return put_record(temp, state::name_path(name), record.encode(), 0600);
}

base::Error Store::explain(base::Error error) const {
  const std::uint64_t free = free_bytes(path(state::kEnvironmentsDir));
  const bool full = error.sys_errno == ENOSPC || error.sys_errno == EDQUOT || mentions_full_disk(error.message);
  const bool broke_on_full_disk =
      free < kFullDiskBytes && (error.code == PYRO_ERROR_ENVIRONMENT || error.code == PYRO_ERROR_INTERNAL);
  if (!full && !broke_on_full_disk) {
    return error;
  }
  return base::make_error(PYRO_ERROR_LIMIT,
                          "the disk of {} is full ({} MiB free now): make room there or set PYRO_HOME to another disk "
                          "({})",
                          path(state::kEnvironmentsDir), free >> 20, error.message);
}

base::Status Store::check_space(std::uint64_t bytes, std::string_view purpose) const {
  const std::uint64_t free = free_bytes(path(state::kEnvironmentsDir));
  if (free >= bytes) {
    return base::success();
  }
  return base::make_error(
      PYRO_ERROR_LIMIT,
      "{} needs about {} MiB of disk in {}, which has {} MiB free: make room there or set PYRO_HOME "
      "to another disk",
      purpose, bytes >> 20, path(state::kEnvironmentsDir), free >> 20);
}

}  // namespace pyro::image
