// What the registry keeps of a VM, made from what was seen of it, and back; and reading on in a journal from where it was
// read before.
// Thread rule: free functions and values.
#pragma once

#include "client/journal_file.hpp"
#include "client/vm_info.hpp"
#include "registry/registry.hpp"

#include <optional>
#include <vector>

namespace pyro::client {

/// The number of a kind in the registry.
std::uint32_t kind_number(state::VmKind kind) noexcept;

/// `changed_ns`: its folder's time of change, from before it was looked at.
registry::Row make_row(const VmInfo& info, bool settled, std::int64_t changed_ns);
/// As look_at_vm() gives it, as far as lists and due dates need it. Only of a settled row.
VmInfo info_of_row(const registry::Row& row);
bool matches(const VmInfo& info, const registry::Filter& filter);

/// What reading on gave.
struct JournalReading {
  registry::JournalPlace place;
  std::vector<registry::CommandMark> marks;
  /// Reading that again is worth being spared.
  bool is_long = false;
};

/// Reads `commands` from `from` on, or from its beginning.
base::Result<JournalSummary> read_on(JournalFile& commands, const std::optional<registry::JournalPlace>& from,
                                     JournalReading& reading);

}  // namespace pyro::client
