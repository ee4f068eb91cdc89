// Reads one file of a VM's journal (state/journal.hpp), while it is being written or later. A guest that owns its
// supervisor may have written anything into it: every record is decoded with its checks, and what makes no sense is
// stepped over.
// Thread rule: an object belongs to one thread at a time.
#pragma once

#include "base/fd.hpp"
#include "state/journal.hpp"

#include <functional>
#include <optional>

namespace pyro::client {

/// How much of a journal an operation reads, or turns into events, before others have their turn: some milliseconds' worth.
inline constexpr std::size_t kEventShareBytes = 256 * 1024;

class JournalFile {
 public:
  /// Errors: INVALID (damaged), UNSUPPORTED (another format), INTERNAL.
  static base::Result<JournalFile> open(base::Fd file);

  /// The caller's answer to a frame: whether it wants more.
  using OnFrame = std::function<bool(const state::JournalReader::Frame&)>;
  /// Hands out whole frames from where the last call ended, to the end of the file as it is now or until the caller has
  /// enough.
  base::Status read(const OnFrame& on_frame);
  /// The same up to the size `end`, but no more than about `most_bytes` of the file at a time: whoever wrote it may have
  /// made it as long as the disk, with not one frame in it. True: it has come to `end`.
  base::Result<bool> read_share(std::uint64_t end, std::uint64_t most_bytes, const OnFrame& on_frame);
  /// Hands out the frames of a window of the file that ends at `end`, in ascending order. Gives where it begins: the `end`
  /// of the one before, if that is not kJournalHeaderBytes. Does not change where read() is.
  base::Result<std::uint64_t> read_window_before(std::uint64_t end, const OnFrame& on_frame) const;
  [[nodiscard]] base::Result<std::uint64_t> size() const;
  /// Where read() goes on: behind a frame, which is a multiple of 8.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
  void go_to(std::uint64_t position) noexcept { position_ = position; }
  /// Of this file; a file in its place has another one.
  [[nodiscard]] std::uint64_t tag() const noexcept { return tag_; }

 private:
  JournalFile(base::Fd file, std::uint64_t tag) : file_(std::move(file)), tag_(tag) {}
  base::Fd file_;
  std::uint64_t tag_;
  /// Where the first frame that was not handed out is looked for.
  std::uint64_t position_ = state::kJournalHeaderBytes;
};

/// What the records of a VM say about it as a whole.
struct JournalSummary {
  std::optional<state::MachineStarted> started;
  /// Of the latest start; nothing if it runs, or was killed.
  std::optional<state::MachineEnded> ended;
  /// Of the latest command; 0: none.
  std::uint64_t last_number = 0;
  /// When a command started or ended last; 0: none.
  std::int64_t last_use_ns = 0;
};
/// Looks from the end back, as far as it has to.
base::Result<JournalSummary> summarise_journal(JournalFile& commands);
/// What the next frame changes.
void add_to_summary(JournalSummary& summary, const state::JournalReader::Frame& frame);

}  // namespace pyro::client
