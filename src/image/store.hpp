// The environment store on disk ($PYRO_HOME/environments; layout in state/environment.hpp). This program is its only
// writer. Everything appears at its final place by rename, complete and synced; whatever is under way lies in
// tmp/<id>/, which is locked by its owner, so that what a killed process left is told from what is in use.
//
// Locks (locks/): "store" is held shared while something is put in place and exclusively by prune and the sweep of
// tmp/; "name-<name>" is held by who builds or imports that name; "scratch" by who makes a scratch image.
// Order: name or scratch before store.
#pragma once

#include "base/result.hpp"
#include "image/lock.hpp"
#include "image/report.hpp"
#include "state/environment.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyro::image {

/// Records of kernels that later builds may use again (kernel.hpp).
inline constexpr std::string_view kKernelsDir = "environments/kernels";
/// The lock that Store describes as "store".
inline constexpr std::string_view kStoreLock = "store";

/// A directory of this process's own in the store's tmp/; removed with the object.
class TempDir {
 public:
  TempDir(std::string path, FileLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  TempDir& operator=(TempDir&&) = delete;
  ~TempDir();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::string file(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

 private:
  std::string path_;
  FileLock lock_;
};

/// An environment that is here: its record and manifest.
struct StoredEnvironment {
  state::NameRecord record;
  state::Manifest manifest;
};

class Store {
 public:
  /// Opens the store of `home`, making its directories (0700). `owner` is the process that others are told to wait for.
  /// Errors: INVALID if they cannot be made or written, LIMIT if the disk is full.
  static base::Result<Store> open(const std::string& home, pid_t owner);

  [[nodiscard]] const std::string& home() const noexcept { return home_; }
  /// Absolute form of a path that state/environment.hpp gave.
  [[nodiscard]] std::string path(std::string_view relative) const { return fmt::format("{}/{}", home_, relative); }

  base::Result<FileLock> lock(std::string_view name, LockKind kind, Report& report) const;
  base::Result<TempDir> make_temp(Report& report) const;
  /// Removes what ended processes left in tmp/; gives the bytes freed. Skipped while somebody uses the store lock.
  /// Needs the ids of the builds, so run it in namespaces where builds do.
  std::uint64_t sweep() const;
  /// The same for who holds the store lock exclusively.
  std::uint64_t sweep_locked() const;

  /// Names with a readable record, sorted.
  [[nodiscard]] std::vector<std::string> names() const;
  /// Record and manifest of a name, the manifest's digest checked. Errors: NOT_FOUND, ENVIRONMENT.
  [[nodiscard]] base::Result<StoredEnvironment> find(std::string_view name) const;

  /// Moves a finished file to its place in blobs/, hashing it. One that is there already is kept if it is sound.
  /// Call with the store lock. `what` is for progress.
  base::Result<state::BlobRef> add_blob(const std::string& file, const std::string& what, Report& report) const;
  /// Writes a small file through `temp`.
  base::Status put_record(const TempDir& temp, const std::string& relative, std::string_view content,
                          unsigned mode) const;
  /// Registers `manifest`, whose blobs are there, under `name`, after a full check of them. Call with the store lock.
  base::Status commit(const TempDir& temp, std::string_view name, const state::Manifest& manifest,
                      Report& report) const;

  /// Makes an error that stems from a full disk a LIMIT that says where and how full.
  [[nodiscard]] base::Error explain(base::Error error) const;
  /// Errors: LIMIT if less than `bytes` are free.
  [[nodiscard]] base::Status check_space(std::uint64_t bytes, std::string_view purpose) const;

 private:
  Store(std::string home, pid_t owner) : home_(std::move(home)), owner_(owner) {}
  std::string home_;
  pid_t owner_;
};

/// Free bytes of the file system that holds `path`; what is kept for root does not count.
std::uint64_t free_bytes(const std::string& path);

}  // namespace pyro::image
