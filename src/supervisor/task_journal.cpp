#include "supervisor/task_journal.hpp"

#include "base/clock.hpp"
#include "base/io.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::supervisor {

using state::JournalRecordType;

namespace {

constexpr std::uint64_t kAlignment = 8;
// How much is read at a time when the last number is looked for, from the end; many commands' worth.
constexpr std::uint64_t kWindowBytes = 1 << 20;
// No task runs so many commands: a record that says so is damaged.
constexpr std::uint64_t kMaxNumber = std::uint64_t{1} << 62;

base::Error no_room(int why) {
  return base::errno_error(why, "cannot write the task's journal");
}

base::Result<base::Bytes> read_range(int fd, std::uint64_t begin, std::uint64_t end) {
  return base::read_range(fd, begin, static_cast<std::size_t>(end - begin), "the task's journal");
}

}  // namespace

// ---- one file

base::Result<TaskJournal::File> TaskJournal::File::open(base::Fd fd) {
  struct stat info {};
  // Whoever else has the descriptor may move its offset.
  if (::fstat(fd.get(), &info) != 0 || ::fcntl(fd.get(), F_SETFL, O_APPEND) != 0) {
    return base::errno_error(errno, "cannot open the task's journal");
  }
  File file;
  file.fd_ = std::move(fd);
  base::Bytes header(state::kJournalHeaderBytes);
  if (static_cast<std::uint64_t>(info.st_size) >= state::kJournalHeaderBytes) {
    PYRO_TRY_ASSIGN(header, read_range(file.fd(), 0, state::kJournalHeaderBytes));
  }
  if (std::all_of(header.begin(), header.end(), [](std::byte byte) { return byte == std::byte{0}; })) {
    // New, or its first writer was killed while making it, or the host lost power before the first bytes were on disk.
    if (::getrandom(&file.tag_, sizeof(file.tag_), 0) != sizeof(file.tag_) || ::ftruncate(file.fd(), 0) != 0) {
      return base::errno_error(errno, "cannot begin the task's journal");
    }
    PYRO_TRY(file.write(state::journal_header(file.tag_)));
    return file;
  }
  PYRO_TRY_ASSIGN(file.tag_, state::journal_tag(header));
  file.end_ = static_cast<std::uint64_t>(info.st_size);
  return file;
}

base::Status TaskJournal::File::append(JournalRecordType type, base::ByteView payload) {
  return write(state::journal_frame(tag_, type, payload));
}

base::Status TaskJournal::File::write(base::Bytes bytes) {
  // A frame that was cut off before leaves the end anywhere.
  const std::uint64_t padding = (kAlignment - end_ % kAlignment) % kAlignment;
  bytes.insert(bytes.begin(), static_cast<std::size_t>(padding), std::byte{0});
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t put = ::write(fd_.get(), bytes.data() + written, bytes.size() - written);
    if (put > 0) {
      written += static_cast<std::size_t>(put);
      end_ += static_cast<std::uint64_t>(put);
    } else if (put == 0 || errno != EINTR) {
      // What is there of it is stepped over by every reader.
      return no_room(put == 0 ? ENOSPC : errno);
    }
  }
  return base::success();
}

// ---- both

base::Result<TaskJournal> TaskJournal::open(base::Fd commands, base::Fd output, state::OutputRetention::Limits limits) {
  PYRO_TRY_ASSIGN(File commands_file, File::open(std::move(commands)));
  PYRO_TRY_ASSIGN(File output_file, File::open(std::move(output)));
  state::OutputRetention retention(limits);
  // The first page has the header and is never freed.
  const off_t data = ::lseek(output_file.fd(), state::OutputRetention::kPageBytes, SEEK_DATA);
  retention.adopt(data < 0 ? state::kJournalHeaderBytes : static_cast<std::uint64_t>(data), output_file.end());
  TaskJournal journal(std::move(commands_file), std::move(output_file), std::move(retention));
  PYRO_TRY(journal.find_last_number());
  return journal;
}

base::Status TaskJournal::find_last_number() {
  std::uint64_t end = commands_.end();
  // Numbers ascend: the last window that has one has the highest.
  while (last_number_ == 0 && end > state::kJournalHeaderBytes) {
    const std::uint64_t room = end - state::kJournalHeaderBytes;
    const std::uint64_t begin = end - std::min(room, kWindowBytes);
    const std::uint64_t aligned = begin / kAlignment * kAlignment;
    // A frame that begins in this window may end in the next.
    const std::uint64_t until = std::min(end + state::kMaxJournalPayloadBytes, commands_.end());
    PYRO_TRY_ASSIGN(const base::Bytes bytes, read_range(commands_.fd(), aligned, until));
    state::JournalReader reader(commands_.tag(), aligned);
    reader.feed(bytes);
    while (const auto frame = reader.next()) {
      if (frame->type == JournalRecordType::command_started) {
        const auto started = state::CommandStarted::decode(frame->payload);
        last_number_ = std::max(last_number_, started.ok() && started->number < kMaxNumber ? started->number : 0);
      }
    }
    end = begin;
  }
  return base::success();
}

base::Status TaskJournal::machine_started(const std::string& vm_id, std::uint32_t engine) {
  const state::MachineStarted record{base::realtime_ns(), vm_id, engine};
  return commands_.append(JournalRecordType::machine_started, record.encode());
}

base::Status TaskJournal::machine_ended(pyro_status status, const std::string& reason) {
  PYRO_TRY(write_waiting());
  const state::MachineEnded record{base::realtime_ns(), status, reason};
  return commands_.append(JournalRecordType::machine_ended, record.encode());
}

base::Result<std::uint64_t> TaskJournal::command_started(const wire::Exec& exec) {
  PYRO_TRY(write_waiting());
  state::CommandStarted record;
  record.number = last_number_ + 1;
  record.time_ns = base::realtime_ns();
  record.set_command(exec.argv, exec.env);
  record.cwd = exec.cwd.substr(0, state::kMaxRecordedArgumentBytes);
  record.user = exec.user.substr(0, state::kMaxRecordedArgumentBytes);
  record.pty = exec.pty;
  PYRO_TRY(commands_.append(JournalRecordType::command_started, record.encode()));
  last_number_ = record.number;
  totals_[record.number] = {};
  return record.number;
}

void TaskJournal::command_output(std::uint64_t number, wire::Channel channel, base::ByteView bytes) {
  const auto totals = totals_.find(number);
  if (totals == totals_.end() || channel == wire::Channel::in || bytes.empty()) {
    return;
  }
  std::uint64_t& total = totals->second[channel == wire::Channel::out ? 0 : 1];
  state::CommandOutput record;
  record.number = number;
  record.time_ns = base::realtime_ns();
  record.channel = static_cast<std::uint8_t>(channel);
  record.offset = total;
  record.data.assign(bytes.begin(), bytes.end());
  total += bytes.size();
  if (cannot_free_) {
    return;
  }
  const std::uint64_t begin = output_.end();
  // Whole or not: what is there takes room, and frees some when its turn comes.
  (void)output_.append(JournalRecordType::output, record.encode());
  if (output_.end() > begin) {
    free_ranges(retention_.appended(number, begin, output_.end() - begin));
  }
}

void TaskJournal::free_ranges(const std::vector<state::OutputRetention::Range>& ranges) {
  for (const auto& range : ranges) {
    if (::fallocate(output_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(range.begin),
                    static_cast<off_t>(range.end - range.begin)) != 0) {
      cannot_free_ = cannot_free_ || errno == EOPNOTSUPP || errno == ENOSYS;
    }
  }
}

void TaskJournal::command_ended(std::uint64_t number, const wire::Exit& exit, pyro_status status) {
  const auto totals = totals_.find(number);
  if (totals == totals_.end()) {
    return;
  }
  state::CommandEnded record;
  record.number = number;
  record.time_ns = base::realtime_ns();
  record.exit_code = exit.exit_code;
  record.term_signal = exit.term_signal;
  record.timed_out = exit.timed_out;
  record.oom_killed = exit.oom_killed;
  record.status = status != PYRO_OK ? status : exit.status;
  record.message = exit.message;
  record.duration_ms = exit.duration_ms;
  record.cpu_time_ms = exit.cpu_time_ms;
  record.memory_peak_bytes = exit.memory_peak_bytes;
  record.stdout_total_bytes = totals->second[0];
  record.stderr_total_bytes = totals->second[1];
  totals_.erase(totals);
  waiting_.push_back(std::move(record));
  (void)write_waiting();
}

base::Status TaskJournal::write_waiting() {
  while (!waiting_.empty()) {
    PYRO_TRY(commands_.append(JournalRecordType::command_ended, waiting_.front().encode()));
    waiting_.erase(waiting_.begin());
  }
  return base::success();
}

}  // namespace pyro::supervisor
