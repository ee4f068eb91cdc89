#include "client/journal_file.hpp"

#include "base/io.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/stat.h>
#include <unistd.h>

namespace pyro::client {

using state::JournalRecordType;

namespace {

constexpr std::uint64_t kAlignment = 8;
constexpr std::size_t kFeedBytes = 256 * 1024;
// Many commands' worth.
constexpr std::uint64_t kWindowBytes = 256 * 1024;

base::Result<base::Bytes> read_range(int fd, std::uint64_t begin, std::size_t most) {
  return base::read_range(fd, begin, most, "a VM's journal");
}

}  // namespace

base::Result<JournalFile> JournalFile::open(base::Fd file) {
  PYRO_TRY_ASSIGN(const base::Bytes header, read_range(file.get(), 0, state::kJournalHeaderBytes));
  PYRO_TRY_ASSIGN(const std::uint64_t tag, state::journal_tag(header));
  return JournalFile(std::move(file), tag);
}

base::Result<std::uint64_t> JournalFile::size() const {
  struct stat info {};
  if (::fstat(file_.get(), &info) != 0) {
    return base::errno_error(errno, "cannot look at a VM's journal");
  }
  return static_cast<std::uint64_t>(info.st_size);
}

base::Status JournalFile::read(const OnFrame& on_frame) {
  PYRO_TRY_ASSIGN(const std::uint64_t end, size());
  PYRO_TRY(read_share(end, UINT64_MAX, on_frame));
  return base::success();
}

base::Result<bool> JournalFile::read_share(std::uint64_t end, std::uint64_t most_bytes, const OnFrame& on_frame) {
  state::JournalReader reader(tag_, position_);
  std::uint64_t done_bytes = 0;
  while (reader.position() < end) {
    if (done_bytes >= most_bytes) {
      position_ = reader.next_offset();
      return false;
    }
    // A freed part is a hole, which may be very long.
    const off_t data = ::lseek(file_.get(), static_cast<off_t>(reader.position()), SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
      break;
    }
    if (data > static_cast<off_t>(reader.position())) {
      reader.skip_to(static_cast<std::uint64_t>(data) / kAlignment * kAlignment);
      if (reader.position() >= end) {
        break;
      }
    }
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(kFeedBytes, end - reader.position()));
    PYRO_TRY_ASSIGN(const base::Bytes bytes, read_range(file_.get(), reader.position(), most));
    if (bytes.empty()) {
      break;
    }
    done_bytes += bytes.size();
    reader.feed(bytes);
    while (const auto frame = reader.next()) {
      const bool more = on_frame(*frame);
      position_ = reader.next_offset();
      if (!more) {
        return false;
      }
    }
  }
  return true;
}

base::Result<std::uint64_t> JournalFile::read_window_before(std::uint64_t end, const OnFrame& on_frame) const {
  if (end <= state::kJournalHeaderBytes) {
    return std::uint64_t{state::kJournalHeaderBytes};
  }
  const std::uint64_t room = end - state::kJournalHeaderBytes;
  const std::uint64_t begin = (end - std::min(room, kWindowBytes)) / kAlignment * kAlignment;
  // A frame that begins in this window may end in the next.
  constexpr std::uint64_t kMaxFrameBytes = state::kMaxJournalPayloadBytes + state::kJournalFrameHeaderBytes;
  PYRO_TRY_ASSIGN(const base::Bytes bytes,
                  read_range(file_.get(), begin, static_cast<std::size_t>(end + kMaxFrameBytes - begin)));
  state::JournalReader reader(tag_, begin);
  reader.feed(bytes);
  while (const auto frame = reader.next()) {
    if (frame->offset >= end || !on_frame(*frame)) {
      break;
    }
  }
  return begin;
}

void add_to_summary(JournalSummary& summary, const state::JournalReader::Frame& frame) {
  switch (frame.type) {
    case JournalRecordType::machine_started:
      if (auto record = state::MachineStarted::decode(frame.payload); record.ok()) {
        summary.started = std::move(*record);
        summary.ended.reset();
      }
      break;
    case JournalRecordType::machine_ended:
      if (auto record = state::MachineEnded::decode(frame.payload); record.ok()) {
        summary.ended = std::move(*record);
      }
      break;
    case JournalRecordType::command_started:
      if (const auto record = state::CommandStarted::decode(frame.payload); record.ok()) {
        summary.last_number = std::max(summary.last_number, record->number);
        summary.last_use_ns = std::max(summary.last_use_ns, record->time_ns);
      }
      break;
    case JournalRecordType::command_ended:
      if (const auto record = state::CommandEnded::decode(frame.payload); record.ok()) {
        summary.last_use_ns = std::max(summary.last_use_ns, record->time_ns);
      }
      break;
    default:
      break;
  }
}

base::Result<JournalSummary> summarise_journal(JournalFile& commands) {
  JournalSummary summary;
  PYRO_TRY_ASSIGN(std::uint64_t end, commands.size());
  while (end > state::kJournalHeaderBytes && !(summary.started && summary.last_number != 0)) {
    JournalSummary window;
    PYRO_TRY_ASSIGN(end, commands.read_window_before(end, [&](const state::JournalReader::Frame& frame) {
      add_to_summary(window, frame);
      return true;
    }));
    // What a later window had wins.
    if (!summary.started) {
      if (!summary.ended) {
        summary.ended = std::move(window.ended);
      }
      summary.started = std::move(window.started);
    }
    summary.last_number = std::max(summary.last_number, window.last_number);
    summary.last_use_ns = std::max(summary.last_use_ns, window.last_use_ns);
  }
  return summary;
}

}  // namespace pyro::client
