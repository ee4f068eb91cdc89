// Registry: the index of VMs, tasks and commands of a home folder, in one SQLite file. It is an index only: what it says
// was read from the folders below vms/ and their journals, and can be read from there again. It has no idea of either;
// who knows keeps it up to date (client/vm_index.hpp).
//
// Any number of processes have it open at once. No call waits longer for them than kBusyMs; TIMEOUT then. A file that is
// damaged gives STATE with the remedy in the message, one of a newer version UNSUPPORTED.
// Thread rule: one thread at a time, in the process that opened it; a forked child may only abandon() it.
#pragma once

#include "registry/database.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pyro::registry {

/// Longer than a change of anybody else takes, shorter than a host program notices.
inline constexpr int kBusyMs = 250;
inline constexpr const char* kFileName = "registry.db";

/// For which state of a folder something holds.
struct FolderStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t changed_ns = 0;
  friend bool operator==(const FolderStamp&, const FolderStamp&) = default;
};

/// What is known of one VM. `kind` and `state` are the owner's numbers.
struct Row {
  std::string id;
  std::uint32_t kind = 0;
  /// False: only its folder tells what is the case now, and the rest is what was so before.
  bool settled = false;
  /// Of its folder, for which the rest holds.
  std::int64_t changed_ns = 0;
  std::uint32_t state = 0;
  /// When it is to be deleted, seconds since 1970; 0: never.
  std::int64_t due_at = 0;
  std::int64_t created_ns = 0;
  std::int64_t started_ns = 0;
  std::int64_t last_use_ns = 0;
  std::uint64_t retention_ms = 0;
  std::uint32_t engine = 0;
  std::uint32_t vcpu_count = 0;
  std::uint32_t mem_mib = 0;
  std::uint32_t disk_mib = 0;
  std::uint64_t command_count = 0;
  std::uint64_t disk_used_bytes = 0;
  std::string environment;
  std::string reason;
  /// By name.
  std::vector<std::pair<std::string, std::string>> labels = {};
  friend bool operator==(const Row&, const Row&) = default;
};

struct Filter {
  std::uint32_t kind = 0;
  /// All of these.
  std::vector<std::pair<std::string, std::string>> labels = {};
  /// Bits 1 << state; 0: all.
  std::uint32_t state_mask = 0;
};

/// How far the record of a VM's commands was read, and what it said until there.
struct JournalPlace {
  /// Of the journal file; another one is another file.
  std::uint64_t tag = 0;
  std::uint64_t end_bytes = 0;
  std::uint64_t last_number = 0;
  std::int64_t last_use_ns = 0;
  /// The owner's; empty: none.
  std::string started;
  std::string ended;
  friend bool operator==(const JournalPlace&, const JournalPlace&) = default;
};

/// Where the record of a command begins in the journal.
struct CommandMark {
  std::uint64_t number = 0;
  std::uint64_t offset_bytes = 0;
  friend bool operator==(const CommandMark&, const CommandMark&) = default;
};

/// False in a process that was forked from one that has asked this before: SQLite's mutexes and its notion of which
/// locks it holds are a process's own, and a child inherits them as they were at that moment. Any thread.
[[nodiscard]] bool is_usable_in_this_process() noexcept;

class Registry {
 public:
  /// The file, made with mode 0600 if it is not there. Errors: STATE, UNSUPPORTED, TIMEOUT, LIMIT, INTERNAL.
  static base::Result<std::unique_ptr<Registry>> open(const std::string& path);
  /// Empties it, whatever is in the file now, unless that is of a newer version. Others that have it open see that.
  static base::Status reset(const std::string& path);

  /// Whether `path` still leads to this file.
  [[nodiscard]] bool is_current() const noexcept;
  /// Gives up without closing: in a forked child.
  void abandon() noexcept { database_.abandon(); }

  /// What is changed until its commit() is seen by others at once, and by nobody if that is not called.
  [[nodiscard]] base::Result<Transaction> begin() { return Transaction::begin(database_); }
  /// What is read until its end is of one moment.
  [[nodiscard]] base::Result<Transaction> begin_reading() const { return Transaction::begin(database_, false); }

  /// Of vms/, for which the rows are complete; nothing: for none.
  [[nodiscard]] base::Result<std::optional<FolderStamp>> stamp() const;
  base::Status set_stamp(const FolderStamp& stamp);

  [[nodiscard]] base::Result<std::optional<Row>> row(const std::string& id) const;
  /// Those that match, and all that are not settled, in no order.
  [[nodiscard]] base::Result<std::vector<Row>> find(const Filter& filter) const;
  /// Ids of those that are due at `now`, and of all that are not settled.
  [[nodiscard]] base::Result<std::vector<std::string>> due(std::int64_t now) const;
  /// Calls `each` with id, settled and changed_ns of all.
  base::Status each_row(const std::function<void(std::string id, bool settled, std::int64_t changed_ns)>& each) const;

  base::Status put(const Row& row);
  /// Makes one not settled; adds it if it is not there.
  base::Status unsettle(const std::string& id);
  /// Of the VM, all.
  base::Status remove(const std::string& id);

  [[nodiscard]] base::Result<std::optional<JournalPlace>> journal(const std::string& id) const;
  /// Marks of another tag than before replace all that there were.
  base::Status put_journal(const std::string& id, const JournalPlace& place, const std::vector<CommandMark>& marks);
  /// The last mark at or before a command.
  [[nodiscard]] base::Result<std::optional<CommandMark>> mark_before(const std::string& id, std::uint64_t number) const;

 private:
  Registry(Database database, std::uint64_t device, std::uint64_t inode)
      : database_(std::move(database)), device_(device), inode_(inode) {}

  static base::Status empty_file(const std::string& path);

  Database database_;
  std::uint64_t device_;
  std::uint64_t inode_;
};

}  // namespace pyro::registry
