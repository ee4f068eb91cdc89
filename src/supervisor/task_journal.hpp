// TaskJournal: writes what commands of a task did into the two files that the supervisor was handed (state/journal.hpp),
// as it happens. Everything is in the kernel's hands when a call returns: only the host's own crash loses it.
//
// A file that is full or broken never stops a command that runs. It stops new ones: none runs without a record of it.
// Output that could not be written is a gap, which the next piece's offset and the totals at the command's end show.
// Thread rule: one thread at a time.
#pragma once

#include "base/fd.hpp"
#include "state/journal.hpp"
#include "state/output_retention.hpp"
#include "wire/messages.hpp"

#include <array>
#include <map>
#include <vector>

namespace pyro::supervisor {

class TaskJournal {
 public:
  /// Goes on with what an earlier supervisor left, or begins in empty files. To be called before the jail forbids
  /// looking for data in them. Errors: INVALID, UNSUPPORTED (state::journal_tag), LIMIT (no room), INTERNAL.
  static base::Result<TaskJournal> open(base::Fd commands, base::Fd output, state::OutputRetention::Limits limits = {});

  base::Status machine_started(const std::string& vm_id, std::uint32_t engine);
  base::Status machine_ended(pyro_status status, const std::string& reason);
  /// Records the start of a command before it is sent to the guest, and gives it its number. After an error (LIMIT) it
  /// must not be started.
  base::Result<std::uint64_t> command_started(const wire::Exec& exec);
  /// A piece of what a command printed on `channel` (out or err).
  void command_output(std::uint64_t number, wire::Channel channel, base::ByteView bytes);
  /// `status`: PYRO_OK, or why its outcome is not known. If there is no room now, the next call tries again.
  void command_ended(std::uint64_t number, const wire::Exit& exit, pyro_status status = PYRO_OK);

  /// Ends that wait for room.
  [[nodiscard]] std::size_t waiting_ends() const noexcept { return waiting_.size(); }

 private:
  // One of the files; appends whole frames.
  class File {
   public:
    static base::Result<File> open(base::Fd fd);
    base::Status append(state::JournalRecordType type, base::ByteView payload);
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] std::uint64_t tag() const noexcept { return tag_; }
    /// Where the next frame begins.
    [[nodiscard]] std::uint64_t end() const noexcept { return end_; }

   private:
    base::Status write(base::Bytes bytes);

    base::Fd fd_;
    std::uint64_t tag_ = 0;
    std::uint64_t end_ = 0;
  };

  TaskJournal(File commands, File output, state::OutputRetention retention)
      : commands_(std::move(commands)), output_(std::move(output)), retention_(retention) {}

  base::Status find_last_number();
  base::Status write_waiting();
  void free_ranges(const std::vector<state::OutputRetention::Range>& ranges);

  File commands_;
  File output_;
  state::OutputRetention retention_;
  std::uint64_t last_number_ = 0;
  /// Bytes printed so far by commands that run: stdout, stderr.
  std::map<std::uint64_t, std::array<std::uint64_t, 2>> totals_;
  std::vector<state::CommandEnded> waiting_;
  /// The file system cannot free parts of a file: once the share is used up, output is not recorded any more.
  bool cannot_free_ = false;
};

}  // namespace pyro::supervisor
