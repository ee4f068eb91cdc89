#include "state/journal.hpp"

#include "state/crc32c.hpp"

#include <algorithm>
#include <limits>

namespace pyro::state {

namespace {

constexpr std::string_view kJournalMagic = "PYROJRNL";
constexpr std::size_t kAlignment = 8;
// Where the fields of a frame's header are.
constexpr std::size_t kSizeAt = 8;
constexpr std::size_t kCrcAt = 12;
constexpr std::size_t kTypeAt = 16;
constexpr std::size_t kReservedAt = 17;

constexpr std::size_t padded(std::size_t bytes) noexcept {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

std::uint64_t number_at(base::ByteView bytes, std::size_t at, std::size_t width) noexcept {
  base::ByteReader in(bytes.subspan(at, width));
  return width == 8 ? in.u64() : (width == 4 ? in.u32() : in.u8());
}

std::uint32_t frame_crc(JournalRecordType type, base::ByteView payload) noexcept {
  base::ByteWriter head;
  head.u32(static_cast<std::uint32_t>(payload.size()));
  head.u8(static_cast<std::uint8_t>(type));
  return crc32c(payload, crc32c(head.view()));
}

bool is_known(std::uint8_t type) noexcept {
  return type >= static_cast<std::uint8_t>(JournalRecordType::machine_started) &&
         type <= static_cast<std::uint8_t>(JournalRecordType::output);
}

base::Error broken(const char* record) {
  return base::make_error(PYRO_ERROR_INVALID, "the journal is damaged: a record of a {} makes no sense", record);
}

// A truth value is 0 or 1, so that there is one encoding of a record.
bool take_bool(base::ByteReader& in, bool& well_formed) noexcept {
  const std::uint8_t value = in.u8();
  well_formed = well_formed && value <= 1;
  return value == 1;
}

pyro_status take_status(base::ByteReader& in, bool& well_formed) noexcept {
  const auto status = base::to_status(in.i32());
  well_formed = well_formed && status;
  return status.value_or(PYRO_OK);
}

}  // namespace

// ---- records

base::Bytes MachineStarted::encode() const {
  base::ByteWriter out;
  out.u64(static_cast<std::uint64_t>(time_ns));
  out.text(vm_id);
  out.u32(engine);
  return std::move(out).take();
}

base::Result<MachineStarted> MachineStarted::decode(base::ByteView payload) {
  base::ByteReader in(payload);
  MachineStarted record;
  record.time_ns = static_cast<std::int64_t>(in.u64());
  record.vm_id = in.text();
  record.engine = in.u32();
  if (!in.finished()) {
    return broken("VM's start");
  }
  return record;
}

base::Bytes MachineEnded::encode() const {
  base::ByteWriter out;
  out.u64(static_cast<std::uint64_t>(time_ns));
  out.i32(status);
  out.text(reason);
  return std::move(out).take();
}

base::Result<MachineEnded> MachineEnded::decode(base::ByteView payload) {
  base::ByteReader in(payload);
  MachineEnded record;
  bool well_formed = true;
  record.time_ns = static_cast<std::int64_t>(in.u64());
  record.status = take_status(in, well_formed);
  record.reason = in.text();
  if (!in.finished() || !well_formed) {
    return broken("VM's end");
  }
  return record;
}

void CommandStarted::set_command(const std::vector<std::string>& arguments,
                                 const std::vector<std::string>& environment) {
  std::size_t room = kMaxRecordedArgumentBytes;
  // An empty text takes room, too.
  const auto add = [&room](std::vector<std::string>& to, std::string_view text) {
    constexpr std::size_t kLengthBytes = 4;
    if (room < kLengthBytes) {
      return false;
    }
    room -= kLengthBytes;
    to.emplace_back(text.substr(0, room));
    room -= to.back().size();
    return to.back().size() == text.size();
  };
  argv.clear();
  env_names.clear();
  argv_truncated = !std::all_of(arguments.begin(), arguments.end(),
                                [&](const std::string& argument) { return add(argv, argument); });
  for (const std::string& variable : environment) {
    if (!add(env_names, std::string_view(variable).substr(0, variable.find('=')))) {
      break;
    }
  }
}

base::Bytes CommandStarted::encode() const {
  base::ByteWriter out;
  out.u64(number);
  out.u64(static_cast<std::uint64_t>(time_ns));
  out.texts(argv);
  out.u8(argv_truncated ? 1 : 0);
  out.text(cwd);
  out.text(user);
  out.texts(env_names);
  out.u8(pty ? 1 : 0);
  return std::move(out).take();
}

base::Result<CommandStarted> CommandStarted::decode(base::ByteView payload) {
  base::ByteReader in(payload);
  CommandStarted record;
  bool well_formed = true;
  record.number = in.u64();
  record.time_ns = static_cast<std::int64_t>(in.u64());
  record.argv = in.texts();
  record.argv_truncated = take_bool(in, well_formed);
  record.cwd = in.text();
  record.user = in.text();
  record.env_names = in.texts();
  record.pty = take_bool(in, well_formed);
  if (!in.finished() || !well_formed) {
    return broken("command's start");
  }
  return record;
}

base::Bytes CommandEnded::encode() const {
  base::ByteWriter out;
  out.u64(number);
  out.u64(static_cast<std::uint64_t>(time_ns));
  out.i32(exit_code);
  out.i32(term_signal);
  out.u8(timed_out ? 1 : 0);
  out.u8(oom_killed ? 1 : 0);
  out.i32(status);
  out.text(message);
  for (const std::uint64_t value :
       {duration_ms, cpu_time_ms, memory_peak_bytes, stdout_total_bytes, stderr_total_bytes}) {
    out.u64(value);
  }
  return std::move(out).take();
}

base::Result<CommandEnded> CommandEnded::decode(base::ByteView payload) {
  base::ByteReader in(payload);
  CommandEnded record;
  bool well_formed = true;
  record.number = in.u64();
  record.time_ns = static_cast<std::int64_t>(in.u64());
  record.exit_code = in.i32();
  record.term_signal = in.i32();
  record.timed_out = take_bool(in, well_formed);
  record.oom_killed = take_bool(in, well_formed);
  record.status = take_status(in, well_formed);
  record.message = in.text();
  for (std::uint64_t* value : {&record.duration_ms, &record.cpu_time_ms, &record.memory_peak_bytes,
                               &record.stdout_total_bytes, &record.stderr_total_bytes}) {
    *value = in.u64();
  }
  if (!in.finished() || !well_formed) {
    return broken("command's end");
  }
  return record;
}

base::Bytes CommandOutput::encode() const {
  base::ByteWriter out;
  out.u64(number);
  out.u64(static_cast<std::uint64_t>(time_ns));
  out.u8(channel);
  out.u64(offset);
  out.raw(data);
  return std::move(out).take();
}

base::Result<CommandOutput> CommandOutput::decode(base::ByteView payload) {
  base::ByteReader in(payload);
  CommandOutput record;
  record.number = in.u64();
  record.time_ns = static_cast<std::int64_t>(in.u64());
  record.channel = in.u8();
  record.offset = in.u64();
  const base::ByteView data = in.raw(in.remaining());
  if (in.failed() || record.channel < 1 || record.channel > 2 ||
      record.offset > std::numeric_limits<std::uint64_t>::max() - data.size()) {
    return broken("command's output");
  }
  record.data.assign(data.begin(), data.end());
  return record;
}

// ---- the file

base::Bytes journal_header(std::uint64_t tag) {
  base::ByteWriter out;
  out.raw(base::as_bytes(kJournalMagic));
  out.u32(kJournalFormat);
  out.u32(0);
  out.u64(tag);
  out.u64(0);
  return std::move(out).take();
}

base::Result<std::uint64_t> journal_tag(base::ByteView header) {
  base::ByteReader in(header.first(std::min(header.size(), kJournalHeaderBytes)));
  if (base::as_text(in.raw(kJournalMagic.size())) != kJournalMagic) {
    return base::make_error(PYRO_ERROR_INVALID, "this is not a journal");
  }
  if (const std::uint32_t format = in.u32(); !in.failed() && format != kJournalFormat) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "the journal has format {}, this library reads {}", format,
                            kJournalFormat);
  }
  const std::uint32_t reserved = in.u32();
  const std::uint64_t tag = in.u64();
  if (in.u64() != 0 || reserved != 0 || in.failed()) {
    return base::make_error(PYRO_ERROR_INVALID, "the journal's header is damaged");
  }
  return tag;
}

base::Bytes journal_frame(std::uint64_t tag, JournalRecordType type, base::ByteView payload) {
  base::ByteWriter out;
  out.u64(tag);
  out.u32(static_cast<std::uint32_t>(payload.size()));
  out.u32(frame_crc(type, payload));
  out.u64(static_cast<std::uint64_t>(type));
  out.raw(payload);
  base::Bytes frame = std::move(out).take();
  frame.resize(padded(frame.size()));
  return frame;
}

void JournalReader::feed(base::ByteView bytes) {
  if (used_ > 0) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used_));
    offset_ += used_;
    used_ = 0;
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

// The first place from `from` on where a frame may begin, or the end.
std::size_t JournalReader::find_tag(base::ByteView bytes, std::size_t from) const noexcept {
  for (std::size_t at = from; at + sizeof(tag_) <= bytes.size(); at += kAlignment) {
    if (number_at(bytes, at, sizeof(tag_)) == tag_) {
      return at;
    }
  }
  return bytes.size();
}

void JournalReader::drop(std::size_t bytes) noexcept {
  used_ += bytes;
  skipped_ += bytes;
}

std::optional<JournalReader::Frame> JournalReader::next() {
  while (buffer_.size() - used_ >= kJournalFrameHeaderBytes) {
    const base::ByteView rest = base::ByteView(buffer_).subspan(used_);
    const std::uint64_t size = number_at(rest, kSizeAt, 4);
    const auto type = static_cast<std::uint8_t>(number_at(rest, kTypeAt, 1));
    const bool reserved_is_zero = std::all_of(rest.begin() + kReservedAt, rest.begin() + kJournalFrameHeaderBytes,
                                              [](std::byte byte) { return byte == std::byte{0}; });
    if (number_at(rest, 0, 8) != tag_ || size > kMaxJournalPayloadBytes || !is_known(type) || !reserved_is_zero) {
      drop(kAlignment);
      continue;
    }
    const std::size_t whole = padded(kJournalFrameHeaderBytes + static_cast<std::size_t>(size));
    if (rest.size() < whole) {
      // The rest is to come, unless another frame has begun since: then this one was cut off for good.
      const std::size_t begin = find_tag(rest, kAlignment);
      if (begin == rest.size()) {
        return std::nullopt;
      }
      drop(begin);
      continue;
    }
    const base::ByteView payload = rest.subspan(kJournalFrameHeaderBytes, static_cast<std::size_t>(size));
    if (number_at(rest, kCrcAt, 4) != frame_crc(JournalRecordType{type}, payload)) {
      drop(kAlignment);
      continue;
    }
    const Frame frame{JournalRecordType{type}, payload, offset_ + used_};
    used_ += whole;
    return frame;
  }
  return std::nullopt;
}

void JournalReader::skip_to(std::uint64_t offset) {
  skipped_ += buffer_.size() - used_;
  buffer_.clear();
  used_ = 0;
  offset_ = offset;
}

}  // namespace pyro::state
