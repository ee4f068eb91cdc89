// What a task's journal tells of its commands, as an operation: all at once, or following what is still to come.
// Thread rule: as Op.
#pragma once

#include "client/command_list.hpp"
#include "client/journal_file.hpp"
#include "client/op.hpp"
#include "client/vm_folder.hpp"

#include <map>
#include <optional>

namespace pyro::client {

struct LogsRequest {
  std::string task_id;
  /// 0: the newest commands.
  std::uint64_t command_number = 0;
  std::uint64_t command_limit = 1000;
  std::uint64_t output_limit_bytes = 1024 * 1024;
  pyro_logs_mode mode = PYRO_LOGS_LIST;
};

class LogsOp final : public Op {
 public:
  LogsOp(ContextPtr context, Poller poller, LogsRequest request)
      : Op(std::move(context), std::move(poller)), request_(std::move(request)) {}

 private:
  base::Status step() override;
  void stop() noexcept override {}

  base::Status open();
  void begin_near_what_is_wanted();
  base::Result<std::optional<JournalFile>> open_journal(const char* name) const;
  /// Takes in a share of what the commands file has since the last time; true if that is all.
  base::Result<bool> read_commands();
  void lose_open_commands();
  /// Adds a piece to the total of its stream, and gives that; nullptr if its command was not asked for.
  CommandEntry::Output* count(const state::CommandOutput& piece);
  /// Where what was printed ends in this round: others may print faster than this one reads.
  base::Result<std::uint64_t> output_end();
  /// Takes in a share of what was printed; true if that is all.
  base::Result<bool> collect_output();
  /// Emits a share of what was printed since the last time; true if that is all.
  base::Result<bool> emit_output();
  [[nodiscard]] bool all_ended() const;
  /// No descriptor tells of what is in a file: whoever waits is to come back at once.
  base::Status come_back();
  base::Status finish();

  /// One reading of the journals, as far as they went when it began.
  struct Round {
    bool runs = false;
    std::uint64_t commands_end = 0;
    std::optional<std::uint64_t> output_end;
  };

  LogsRequest request_;
  std::optional<VmFolder> folder_;
  std::optional<JournalFile> commands_;
  std::optional<JournalFile> output_;
  std::map<std::uint64_t, CommandEntry> entries_;
  std::optional<Round> round_;
};

}  // namespace pyro::client
