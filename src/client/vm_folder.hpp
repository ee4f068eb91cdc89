// The folder of one VM that outlives its client: $PYRO_HOME/vms/<id>/. The VM exists as long as record.json is there; a
// folder without it is a left-over of a creation or deletion that was cut off. Its supervisor and its engine hold `lock`
// for as long as they live, so that the kernel tells who runs, however they end.
// Thread rule: an object belongs to one thread at a time. Any number of processes may work on one folder.
#pragma once

#include "client/file_lock.hpp"
#include "state/vm_record.hpp"

#include <optional>
#include <string>
#include <vector>

namespace pyro::client {

class VmFolder {
 public:
  /// Errors: INVALID (no id), NOT_FOUND.
  static base::Result<VmFolder> open(const std::string& home, const std::string& id);
  /// A new one, without a record. Errors: EXISTS, LIMIT, INVALID.
  static base::Result<VmFolder> create(const std::string& home, const std::string& id);

  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  [[nodiscard]] base::Result<base::Fd> open_file(const char* name, int flags, unsigned mode = 0) const;

  /// Errors: NOT_FOUND, INTERNAL (damaged), UNSUPPORTED.
  [[nodiscard]] base::Result<state::VmRecord> record() const;
  [[nodiscard]] base::Status write_record(const state::VmRecord& record) const;
  /// Nothing before the first start.
  [[nodiscard]] base::Result<std::optional<state::VmRun>> run() const;
  [[nodiscard]] base::Status write_run(const state::VmRun& run) const;

  /// Whether the id still leads here: it does not once somebody has begun to remove it.
  [[nodiscard]] bool is_current() const noexcept;
  /// The lock, if no supervisor and nobody else has it. A supervisor that gets the descriptor puts one of its process in the
  /// place of this one, its engine one of its own. Errors: NOT_FOUND (it has been removed).
  [[nodiscard]] base::Result<std::optional<FileLock>> try_lock() const;
  /// Whether somebody has it.
  [[nodiscard]] base::Result<bool> is_locked() const;
  /// A socket that listens for clients, in the place of any that was there. To be called with the lock held.
  [[nodiscard]] base::Result<base::Fd> listen() const;
  /// A connection to its supervisor, without waiting; nothing: it has too much to do, try again.
  /// Errors: STATE (none is there).
  [[nodiscard]] base::Result<std::optional<base::Fd>> connect() const;

  /// The first step of its removal, to be called with the lock held: from then on nobody finds it by its id, and what is
  /// cut off halfway is a left-over. False: somebody else has done it.
  [[nodiscard]] base::Result<bool> hide() const;
  /// The rest of it.
  [[nodiscard]] base::Status erase_hidden() const;
  [[nodiscard]] base::Status rename(const char* from, const char* to) const;
  /// When something was last made or removed in it: seconds since 1970; 0: not known.
  [[nodiscard]] std::int64_t changed_at() const noexcept;
  /// Bytes that its files take on the host's disk.
  [[nodiscard]] std::uint64_t disk_used_bytes() const noexcept;

 private:
  VmFolder(std::string home, std::string id, base::Fd fd)
      : home_(std::move(home)), id_(std::move(id)), fd_(std::move(fd)) {}
  [[nodiscard]] std::string path(const char* name) const;

  std::string home_;
  std::string id_;
  base::Fd fd_;
};

/// Whether nobody has begun to reap for `period_s`; then the caller has, now.
bool begin_periodic_reap(const std::string& home, std::int64_t period_s) noexcept;
/// Removes what interrupted removals left behind.
void sweep_removed_folders(const std::string& home);

/// The folder that they are in.
std::string vms_path(const std::string& home);
/// Ids of all folders, in no order.
base::Result<std::vector<std::string>> list_vm_ids(const std::string& home);

/// There is no VM with this id.
base::Error no_such_vm(const std::string& id);
/// Tasks and VMs are two sets: refuses one of the other. Errors: NOT_FOUND.
base::Status check_kind(const state::VmRecord& record, state::VmKind kind);

}  // namespace pyro::client
