// What can be told of a VM that outlives its client: from its folder, from its journal, and from its supervisor if that
// was asked.
// Thread rule: free functions and values.
#pragma once

#include "client/event.hpp"
#include "client/journal_file.hpp"
#include "client/vm_folder.hpp"
#include "wire/messages.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace pyro::client {

struct VmInfo {
  state::VmRecord record;
  std::optional<state::VmRun> run;
  JournalSummary journal;
  pyro_vm_state state = PYRO_VM_CREATED;
  /// Why it is stopped or failed.
  std::string reason;
  /// When it ended, or was used last; nanoseconds since 1970.
  std::int64_t last_use_ns = 0;
  std::uint64_t disk_used_bytes = 0;
  /// What its supervisor says.
  std::optional<wire::Status> live;
};

using ReadJournal = std::function<base::Result<JournalSummary>(JournalFile& commands)>;

/// All that can be told without asking the supervisor. Errors: NOT_FOUND, INTERNAL, UNSUPPORTED.
base::Result<VmInfo> look_at_vm(const VmFolder& folder, const ReadJournal& read_journal = summarise_journal);
/// The same for whoever holds its lock.
base::Result<VmInfo> look_at_locked_vm(const VmFolder& folder);

/// Whether it ended without a word, and nobody has noted yet when that was found.
bool has_ended_unseen(const VmInfo& info) noexcept;

/// When a VM that does not run is to be deleted: seconds since 1970; 0: never.
std::int64_t delete_at(const VmInfo& info) noexcept;

/// In the form of the C ABI, with `json`; `kind` names the list in that.
std::unique_ptr<OwnedVms> make_vm_list(const std::vector<VmInfo>& infos, state::VmKind kind);
/// The last event of an operation that tells of them.
Event vms_event(const std::vector<VmInfo>& infos, state::VmKind kind);
/// "created", "starting", ...
const char* vm_state_name(pyro_vm_state state) noexcept;

/// Why something that needs a running VM cannot be done.
base::Error not_running(const VmInfo& info);

}  // namespace pyro::client
