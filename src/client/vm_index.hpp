// VmIndex: keeps the registry beside the folders of a home's VMs, and answers from it what would else take a look into
// each of them. The folders are the truth. What the registry says is used only while that can be told to be right:
//
//   Which VMs there are: the registry keeps the time of change of vms/ for which it is complete. Who makes or removes a
//   folder does it within a transaction of the registry, and moves that time along if it was right before. However that
//   is cut off, and whoever else changes vms/, the times differ, and the next list reads vms/ again. Who cannot tell the
//   registry leaves a mark in vms/ behind the change, since somebody else may be moving the time along meanwhile.
//   What one is: a VM that runs, or that somebody works on, is always looked at. Who starts one says so first, with its
//   lock held. Of the others the row is right while the folder's time of change is the row's.
//
// Without the registry (busy, no space, read-only) everything is answered from the folders, slower. Only a list says that
// the registry is damaged or of a newer version; calls about one VM never do.
// Thread rule: any thread, one after the other. In a forked child it does nothing.
#pragma once

#include "client/log_ring.hpp"
#include "client/vm_folder.hpp"
#include "client/vm_info.hpp"
#include "client/vm_row.hpp"
#include "registry/registry.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <sys/types.h>

namespace pyro::client {

class VmIndex {
 public:
  /// `log` outlives this. The registry is opened when it is first needed.
  VmIndex(std::string home, LogRing& log);
  VmIndex(const VmIndex&) = delete;
  VmIndex& operator=(const VmIndex&) = delete;
  ~VmIndex();

  /// VmFolder::create(), and its row.
  base::Result<VmFolder> make_folder(const std::string& id);
  /// Removes it, with the lock of its folder held, and its row.
  base::Status remove_folder(const VmFolder& folder);
  /// It is about to be started; to be called with its lock held, before anything in the folder changes. False: the
  /// registry could not be told; to be called again when it has changed.
  bool note_start(const VmFolder& folder);
  /// look_at_vm(), without reading again what was read of its journal before; keeps what was seen.
  base::Result<VmInfo> look(const VmFolder& folder);

  /// All of one kind that match, in no order. Errors: STATE (the registry is damaged), UNSUPPORTED (it is of a newer
  /// version), INTERNAL.
  base::Result<std::vector<VmInfo>> list(const registry::Filter& filter);
  /// Ids of those that may have to be deleted.
  base::Result<std::vector<std::string>> list_due(std::int64_t now_s);
  /// Where in the journal the record of a command is, or of one before it; nothing: read all.
  std::optional<std::uint64_t> place_of_command(const std::string& id, std::uint64_t tag, std::uint64_t number);
  /// The number of the last command that the registry knows; 0: none.
  std::uint64_t last_known_command(const std::string& id, std::uint64_t tag);

  /// Whether lists can be answered. Errors: those of list(), TIMEOUT, LIMIT.
  base::Status check();
  /// Makes the registry again from the folders, whatever is in it. All VMs. Errors: as list(), TIMEOUT, LIMIT.
  base::Result<std::vector<VmInfo>> rebuild();

 private:
  /// What a look at a folder gave.
  struct Seen {
    VmInfo info;
    /// Of the folder, from before the look.
    std::int64_t changed_ns = 0;
    JournalReading reading;
    /// What the registry had.
    std::optional<registry::Row> before;
  };
  /// A change of which folders there are, under way.
  struct Change {
    std::unique_lock<std::mutex> lock;
    registry::Registry* registry;
    registry::Transaction transaction;
    /// The registry was complete before it.
    bool was_complete;
  };
  using Update = std::function<base::Status(registry::Registry&)>;

  [[nodiscard]] std::string registry_path() const { return home_ + "/" + registry::kFileName; }
  /// To be called with the lock held. The same below.
  base::Result<registry::Registry*> open();
  template <typename Action>
  std::invoke_result_t<Action, registry::Registry&> with_open_registry(Action&& action);
  /// Takes the lock.
  template <typename Action>
  std::invoke_result_t<Action, registry::Registry&> with_registry(Action&& action);

  /// SQLite's own state does not survive a fork(): a child of a process that used it goes without.
  [[nodiscard]] bool is_usable() const noexcept;
  std::optional<Change> begin_change();
  void finish_change(std::optional<Change> change, const Update& update);
  [[nodiscard]] std::string mark_path() const { return vms_path(home_) + "/.changed"; }
  /// The registry does not know of a change that was just made.
  void leave_mark() const;
  base::Result<bool> is_complete(const registry::Registry& registry) const;
  base::Status catch_up(registry::Registry& registry);
  /// Gives what `read` gives of a registry that is complete.
  template <typename Read>
  std::invoke_result_t<Read, registry::Registry&> read_complete(registry::Registry& registry, Read&& read);
  base::Result<Seen> see(const VmFolder& folder, std::optional<registry::Row> before);
  void keep(const std::vector<Seen>& all);
  base::Status keep_one(registry::Registry& registry, const Seen& seen);
  std::vector<VmInfo> look_at_rows(std::vector<registry::Row> rows, const registry::Filter& filter);
  base::Result<std::vector<VmInfo>> list_folders(const registry::Filter& filter);
  void warn(const base::Error& error);

  const std::string home_;
  LogRing& log_;
  const pid_t owner_;
  std::mutex mutex_;
  /// Others kept the registry busy for too long: until then no change of folders waits for them again.
  std::int64_t busy_until_ms_ = 0;
  std::unique_ptr<registry::Registry> registry_;
};

}  // namespace pyro::client
