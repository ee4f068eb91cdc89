// The journal of a task: which commands ran in it, what they printed and how they ended. Two files of one form, both
// only ever appended to: `commands` holds starts and ends and keeps them all; `output` holds what commands printed, in
// the order in which it came, and its oldest parts are freed (they become holes).
//
//   header  "PYROJRNL" | u32 format | u32 0 | u64 tag | u64 0
//   frame   u64 tag | u32 size | u32 crc | u8 type | u8[7] 0 | payload, `size` bytes | zeros up to a multiple of 8
//
// All numbers are little-endian; crc is CRC-32C of size, type and payload. A frame that was cut off (the writer was
// killed, the disk was full) or freed is skipped: the next one is found by the tag, a random number of the file that
// no guest knows, so that nothing a guest prints can pass for a frame.
// Pure code: no I/O. Thread rule: values, one thread each.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pyro::state {

inline constexpr std::uint32_t kJournalFormat = 1;
inline constexpr std::size_t kJournalHeaderBytes = 32;
inline constexpr std::size_t kJournalFrameHeaderBytes = 24;
/// A command's arguments and environment are cut to less than this (kMaxRecordedArgumentBytes); a piece of output is
/// what one frame of the wire protocol carries.
inline constexpr std::size_t kMaxJournalPayloadBytes = 64 * 1024;
/// What is recorded of a command's argv; what is over is cut off and said so.
inline constexpr std::size_t kMaxRecordedArgumentBytes = 16 * 1024;

enum class JournalRecordType : std::uint8_t {
  machine_started = 1,
  machine_ended = 2,
  command_started = 3,
  command_ended = 4,
  output = 5,
};

/// A VM runs for the task from here on.
struct MachineStarted {
  std::int64_t time_ns = 0;  // since 1970
  std::string vm_id;
  /// pyro_engine.
  std::uint32_t engine = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<MachineStarted> decode(base::ByteView payload);
  friend bool operator==(const MachineStarted&, const MachineStarted&) = default;
};

/// It ended, and was able to say so: after a kill this is missing.
struct MachineEnded {
  std::int64_t time_ns = 0;
  /// PYRO_OK: it was stopped; else the group that the reason belongs to.
  pyro_status status = PYRO_OK;
  std::string reason;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<MachineEnded> decode(base::ByteView payload);
  friend bool operator==(const MachineEnded&, const MachineEnded&) = default;
};

struct CommandStarted {
  /// Counts from 1 in each task.
  std::uint64_t number = 0;
  std::int64_t time_ns = 0;
  std::vector<std::string> argv;
  /// More, or longer, arguments were given.
  bool argv_truncated = false;
  std::string cwd;
  std::string user;
  /// Names only: values are often secrets.
  std::vector<std::string> env_names;
  bool pty = false;

  /// Fills argv and env_names with as much as kMaxRecordedArgumentBytes has room for.
  void set_command(const std::vector<std::string>& arguments, const std::vector<std::string>& environment);
  [[nodiscard]] base::Bytes encode() const;
  static base::Result<CommandStarted> decode(base::ByteView payload);
  friend bool operator==(const CommandStarted&, const CommandStarted&) = default;
};

struct CommandEnded {
  std::uint64_t number = 0;
  std::int64_t time_ns = 0;
  std::int32_t exit_code = 0;
  std::int32_t term_signal = 0;
  bool timed_out = false;
  bool oom_killed = false;
  /// PYRO_OK: it ran. Else it was not started or its outcome is unknown; message says why.
  pyro_status status = PYRO_OK;
  std::string message;
  std::uint64_t duration_ms = 0;
  std::uint64_t cpu_time_ms = 0;
  std::uint64_t memory_peak_bytes = 0;
  /// How much it printed in all.
  std::uint64_t stdout_total_bytes = 0;
  std::uint64_t stderr_total_bytes = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<CommandEnded> decode(base::ByteView payload);
  friend bool operator==(const CommandEnded&, const CommandEnded&) = default;
};

/// A piece of what a command printed.
struct CommandOutput {
  std::uint64_t number = 0;
  std::int64_t time_ns = 0;
  /// 1 stdout, 2 stderr.
  std::uint8_t channel = 1;
  /// Of the piece's first byte in its stream: a gap before it was freed or never written.
  std::uint64_t offset = 0;
  base::Bytes data;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<CommandOutput> decode(base::ByteView payload);
  friend bool operator==(const CommandOutput&, const CommandOutput&) = default;
};

/// The first bytes of a new file. `tag`: random.
base::Bytes journal_header(std::uint64_t tag);

/// The tag of an existing file. Errors: INVALID (damaged), UNSUPPORTED (another format).
base::Result<std::uint64_t> journal_tag(base::ByteView header);

/// A frame as it is appended. A writer that opens an existing file first pads its size to a multiple of 8.
base::Bytes journal_frame(std::uint64_t tag, JournalRecordType type, base::ByteView payload);

/// Cuts the bytes behind the header into frames. What is damaged, cut off or freed is stepped over.
class JournalReader {
 public:
  struct Frame {
    JournalRecordType type{};
    /// Borrowed until the next feed().
    base::ByteView payload;
    /// Of the frame in the file.
    std::uint64_t offset = 0;
  };

  /// `offset`: where in the file the first fed byte is; a multiple of 8, not less than kJournalHeaderBytes.
  explicit JournalReader(std::uint64_t tag, std::uint64_t offset = kJournalHeaderBytes) : tag_(tag), offset_(offset) {}

  /// Appends bytes of the file; call next() until it gives nothing before feeding more.
  void feed(base::ByteView bytes);
  /// The next whole frame. Nothing: more bytes are needed; at the end of the file, the rest is a frame that was cut
  /// off, or is being written.
  std::optional<Frame> next();
  /// Continues at `offset` (a multiple of 8), forgetting what was fed: for stepping over a hole.
  void skip_to(std::uint64_t offset);
  /// Where in the file the next byte to be fed is.
  [[nodiscard]] std::uint64_t position() const noexcept { return offset_ + buffer_.size(); }
  /// Where in the file the next frame is looked for: all before it is done with.
  [[nodiscard]] std::uint64_t next_offset() const noexcept { return offset_ + used_; }
  /// Bytes that belonged to no frame so far.
  [[nodiscard]] std::uint64_t skipped_bytes() const noexcept { return skipped_; }

 private:
  [[nodiscard]] std::size_t find_tag(base::ByteView bytes, std::size_t from) const noexcept;
  void drop(std::size_t bytes) noexcept;

  std::uint64_t tag_;
  std::uint64_t offset_;  // of buffer_[0] in the file
  base::Bytes buffer_;
  std::size_t used_ = 0;  // of buffer_: handed out or skipped
  std::uint64_t skipped_ = 0;
};

}  // namespace pyro::state
