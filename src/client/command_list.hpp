// The commands of a task as its journal has them, and in the form of the C ABI.
// Thread rule: free functions and values.
#pragma once

#include "client/event.hpp"
#include "state/journal.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pyro::client {

struct CommandEntry {
  state::CommandStarted started;
  std::optional<state::CommandEnded> ended;
  /// stdout, stderr: the last part of what was kept, and how much was printed in all, as far as that is known.
  struct Output {
    std::string data;
    std::uint64_t total_bytes = 0;
  };
  std::array<Output, 2> output;
};

/// With `json`, which has output as text (what is not UTF-8 is replaced).
std::unique_ptr<OwnedCommands> make_command_list(const std::vector<CommandEntry>& entries, const std::string& task_id,
                                                 bool with_output = false);

}  // namespace pyro::client
