#include "client/logs_op.hpp"

#include "base/clock.hpp"
#include "client/command_end.hpp"
#include "client/vm_index.hpp"

#include <algorithm>

#include <fcntl.h>

namespace pyro::client {

using state::JournalRecordType;

namespace {

// How often a journal that is being written is looked at: a person sees no delay, and a look costs microseconds.
constexpr std::int64_t kFollowMs = 50;

// Keeps the last `limit` bytes; lets twice as much gather, so that little is moved.
void keep_last(std::string& text, std::uint64_t limit, bool at_end) {
  if (text.size() > limit && (at_end || text.size() / 2 > limit)) {
    text.erase(0, text.size() - static_cast<std::size_t>(limit));
  }
}

}  // namespace

base::Status LogsOp::step() {
  if (!folder_) {
    PYRO_TRY(open());
  }
  if (!round_) {
    // In this order: what a command printed is in the journal before its end is.
    round_.emplace();
    PYRO_TRY_ASSIGN(round_->runs, folder_->is_locked());
    if (commands_) {
      PYRO_TRY_ASSIGN(round_->commands_end, commands_->size());
    }
  }
  PYRO_TRY_ASSIGN(const bool has_commands, read_commands());
  if (!has_commands) {
    return come_back();
  }
  if (request_.command_number != 0 && !entries_.contains(request_.command_number)) {
    return base::make_error(PYRO_ERROR_NOT_FOUND, "task {} has no command {}", request_.task_id,
                            request_.command_number);
  }
  const bool runs = round_->runs;
  if (!runs) {
    lose_open_commands();
  }
  if (request_.mode == PYRO_LOGS_LIST) {
    PYRO_TRY_ASSIGN(const bool has_output, collect_output());
    return has_output ? finish() : come_back();
  }
  PYRO_TRY_ASSIGN(const bool has_all, emit_output());
  if (has_all) {
    round_.reset();
  }
  if (!has_all || has_events()) {
    return come_back();
  }
  if (request_.mode != PYRO_LOGS_FOLLOW || !runs || all_ended()) {
    return finish();
  }
  return poller().set_deadline(base::monotonic_ms() + kFollowMs);
}

base::Status LogsOp::come_back() {
  return poller().set_deadline(base::monotonic_ms());
}

base::Status LogsOp::open() {
  PYRO_TRY_ASSIGN(folder_, VmFolder::open(settings().home, request_.task_id));
  PYRO_TRY(folder_->record());
  PYRO_TRY_ASSIGN(commands_, open_journal(state::kVmCommandsFile));
  PYRO_TRY_ASSIGN(output_, open_journal(state::kVmOutputFile));
  if (commands_) {
    begin_near_what_is_wanted();
  }
  return base::success();
}

// A journal may have a million commands. What the registry knows of it spares reading those before the first one wanted.
void LogsOp::begin_near_what_is_wanted() {
  VmIndex& index = *context().index;
  std::uint64_t first = request_.command_number;
  if (first == 0) {
    const std::uint64_t last = index.last_known_command(request_.task_id, commands_->tag());
    first = last > request_.command_limit ? last - request_.command_limit + 1 : 0;
  }
  const auto place = first == 0 ? std::nullopt : index.place_of_command(request_.task_id, commands_->tag(), first);
  if (place && *place > commands_->position()) {
    commands_->go_to(*place);
  }
}

base::Result<std::optional<JournalFile>> LogsOp::open_journal(const char* name) const {
  auto file = folder_->open_file(name, O_RDONLY);
  if (!file.ok()) {
    // Never started.
    return file.error().sys_errno == ENOENT ? base::Result<std::optional<JournalFile>>(std::optional<JournalFile>())
                                            : base::Result<std::optional<JournalFile>>(std::move(file).error());
  }
  PYRO_TRY_ASSIGN(auto journal, JournalFile::open(std::move(file).value()));
  return std::optional(std::move(journal));
}

base::Result<bool> LogsOp::read_commands() {
  if (!commands_) {
    return true;
  }
  return commands_->read_share(
      round_->commands_end, kEventShareBytes, [this](const state::JournalReader::Frame& frame) {
        if (frame.type == JournalRecordType::command_started) {
          auto started = state::CommandStarted::decode(frame.payload);
          if (started.ok() && (request_.command_number == 0 || started->number == request_.command_number)) {
            entries_[started->number].started = std::move(*started);
            if (entries_.size() > request_.command_limit) {
              entries_.erase(entries_.begin());
            }
          }
        } else if (frame.type == JournalRecordType::machine_started || frame.type == JournalRecordType::machine_ended) {
          lose_open_commands();
        } else if (frame.type == JournalRecordType::command_ended) {
          auto ended = state::CommandEnded::decode(frame.payload);
          if (const auto entry = ended.ok() ? entries_.find(ended->number) : entries_.end(); entry != entries_.end()) {
            entry->second.ended = std::move(*ended);
          }
        }
        return true;
      });
}

// The VM of commands that never got an end was killed.
void LogsOp::lose_open_commands() {
  for (auto& [number, entry] : entries_) {
    if (!entry.ended) {
      state::CommandEnded lost;
      lost.number = number;
      lost.status = PYRO_ERROR_OUTCOME_UNKNOWN;
      lost.message = "its VM was lost while it ran: what it did is unknown";
      entry.ended = std::move(lost);
    }
  }
}

CommandEntry::Output* LogsOp::count(const state::CommandOutput& piece) {
  const auto entry = entries_.find(piece.number);
  if (entry == entries_.end()) {
    return nullptr;
  }
  auto& output = entry->second.output[piece.channel == 1 ? 0 : 1];
  output.total_bytes = std::max(output.total_bytes, piece.offset + piece.data.size());
  return &output;
}

base::Result<std::uint64_t> LogsOp::output_end() {
  if (!round_->output_end) {
    PYRO_TRY_ASSIGN(round_->output_end, output_->size());
  }
  return *round_->output_end;
}

base::Result<bool> LogsOp::collect_output() {
  if (!output_) {
    return true;
  }
  PYRO_TRY_ASSIGN(const std::uint64_t end, output_end());
  const std::uint64_t limit = request_.output_limit_bytes;
  const auto take = [this, limit](const state::JournalReader::Frame& frame) {
    const auto piece = state::CommandOutput::decode(frame.payload);
    if (CommandEntry::Output* output = piece.ok() ? count(*piece) : nullptr) {
      output->data += base::as_text(piece->data);
      keep_last(output->data, limit, false);
    }
    return true;
  };
  PYRO_TRY_ASSIGN(const bool all, output_->read_share(end, kEventShareBytes, take));
  if (all) {
    for (auto& [number, entry] : entries_) {
      keep_last(entry.output[0].data, limit, true);
      keep_last(entry.output[1].data, limit, true);
    }
  }
  return all;
}

base::Result<bool> LogsOp::emit_output() {
  if (!output_) {
    return true;
  }
  PYRO_TRY_ASSIGN(const std::uint64_t end, output_end());
  std::size_t emitted = 0;
  return output_->read_share(end, kEventShareBytes, [this, &emitted](const state::JournalReader::Frame& frame) {
    auto piece = state::CommandOutput::decode(frame.payload);
    if (piece.ok() && count(*piece) != nullptr) {
      emitted += piece->data.size();
      emit(output_event(std::move(*piece)));
    }
    return emitted < kEventShareBytes;
  });
}

bool LogsOp::all_ended() const {
  return request_.command_number != 0 && entries_.at(request_.command_number).ended.has_value();
}

base::Status LogsOp::finish() {
  std::vector<CommandEntry> entries;
  for (auto& [number, entry] : entries_) {
    entries.push_back(std::move(entry));
  }
  Event event;
  event.kind = PYRO_EVENT_DONE;
  event.commands = make_command_list(entries, request_.task_id, request_.mode == PYRO_LOGS_LIST);
  emit(std::move(event));
  return base::success();
}

}  // namespace pyro::client
