// Attaching to a command of a task that somebody else started, as an operation. What it prints is read in the journal, so
// that nothing is lost or told twice, whoever was attached when; the supervisor says when there is more, takes input and
// signals, and tells the end. A command that has ended is told of from the journal alone.
// Thread rule: as Op.
#pragma once

#include "client/command_input.hpp"
#include "client/journal_file.hpp"
#include "client/op.hpp"
#include "client/vm_control.hpp"
#include "client/vm_folder.hpp"
#include "client/vm_link.hpp"
#include "state/journal.hpp"
#include "wire/messages.hpp"

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pyro::client {

struct AttachRequest {
  std::string task_id;
  std::uint64_t command_number = 0;
  bool takes_input = false;
  /// Both 0: the terminal stays as it is.
  std::uint16_t rows = 0;
  std::uint16_t columns = 0;
  /// How much of what was printed before is told, of both streams together.
  std::uint64_t tail_bytes = 64 * 1024;
  std::uint64_t output_limit_bytes = 1024 * 1024;
};

class AttachOp final : public Op {
 public:
  AttachOp(ContextPtr context, Poller poller, AttachRequest request)
      : Op(std::move(context), std::move(poller)), request_(std::move(request)) {}

  base::Result<std::size_t> write_stdin(base::ByteView bytes) override;
  base::Status close_stdin() override;
  base::Status signal(std::int32_t number) override;
  base::Status resize(std::uint32_t rows, std::uint32_t columns) override;

 private:
  // In the journal its command is looked for, then the tail of what that printed; concluding: its end, because the
  // supervisor does not tell it; ending: all that is left to tell is there.
  enum class Phase { looking, measuring, connecting, joining, live, concluding, ending };
  /// In the output file, with how much the command printed before it.
  struct Place {
    std::uint64_t position = 0;
    std::uint64_t printed_before = 0;
  };

  base::Status step() override;
  void stop() noexcept override;

  base::Status open();
  base::Status look();
  /// Takes in a share of what the journal says of the command since the last time. True: there is no more for now.
  base::Result<bool> read_commands();
  /// Finds where the tail begins.
  base::Status measure();
  base::Status connect();
  base::Status converse();
  base::Status hear();
  base::Status take(const wire::Frame& frame);
  base::Status take_joined(const wire::Frame& frame);
  base::Status take_credit(const wire::Frame& frame);
  base::Status take_exit(const wire::Frame& frame);
  /// The supervisor is not there any more, cannot be believed, or does not know the command: the journal has its end,
  /// or nobody has.
  base::Status conclude_from_journal(const std::string& otherwise);
  base::Status conclude();
  [[nodiscard]] base::Error lost(const std::string& what) const;
  /// All that it printed is in the journal.
  base::Status start_ending();
  /// There is more to do, of which no descriptor tells.
  base::Status come_back();
  void begin(bool input_open);
  /// Emits a share of what was printed. True: there is no more for now.
  base::Result<bool> emit_output();
  void finish();
  void emit_result();

  base::Status check_input_open() const;
  base::Status check_running() const;
  base::Status flush();

  AttachRequest request_;
  Phase phase_ = Phase::looking;
  std::optional<VmFolder> folder_;
  std::optional<JournalFile> commands_;
  std::optional<JournalFile> output_;
  std::optional<state::CommandStarted> started_;
  std::optional<state::CommandEnded> ended_;
  /// Why its end cannot be told.
  std::unique_ptr<pyro_error> loss_;
  pyro_engine engine_ = PYRO_ENGINE_AUTO;

  std::optional<VmAttach> attach_;
  std::unique_ptr<VmLink> vm_;
  std::vector<wire::Frame> frames_;
  wire::FrameQueue queue_;
  bool greeted_ = false;
  std::int64_t join_deadline_ms_ = 0;
  std::string otherwise_;

  /// Where this reads to in `commands` and `output`: what is written meanwhile, without end perhaps, is left.
  std::uint64_t commands_end_ = 0;
  std::uint64_t output_end_ = UINT64_MAX;
  /// Where the tail may begin, ascending; the first one is not after it.
  std::deque<Place> places_;
  /// What the command printed, as far as it was measured.
  std::uint64_t measured_bytes_ = 0;
  /// Of the output that is there: not told, because it is older than the tail.
  std::uint64_t skip_bytes_ = 0;
  /// stdout, stderr: printed so far, as far as the journal tells.
  std::array<std::uint64_t, 2> totals_{};
  /// What the supervisor said was printed; the next question begins there.
  std::uint64_t printed_ = 0;
  /// There may be output that was not read yet.
  bool unread_ = true;
  /// It was asked to say when there is more.
  bool watching_ = false;
  /// The poller wakes without being told by anybody.
  bool awake_ = false;

  CommandInput input_{queue_, 1};
};

}  // namespace pyro::client
