#include "wire/messages.hpp"

#include "wire/malformed.hpp"

#include <algorithm>

namespace pyro::wire {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;
using base::Result;

namespace {

// Caps of single fields; all of them fit the 64 KiB that a control frame may have.
constexpr std::size_t kMaxNameBytes = 256;
constexpr std::size_t kMaxTextBytes = 8 * 1024;
constexpr std::size_t kMaxConsoleBytes = 32 * 1024;
constexpr std::size_t kMaxPathBytes = 4096;  // Linux PATH_MAX
// Two years: more than any time that a client can ask for, and far from an overflow.
constexpr std::uint64_t kMaxTimeMs = std::uint64_t{2} * 366 * 24 * 3600 * 1000;
constexpr std::uint8_t kExecPty = 1;
constexpr std::uint8_t kExecKeepsStdin = 2;
constexpr std::uint8_t kExecEndsWithClient = 4;

std::string clipped(const std::string& text, std::size_t max) {
  return text.size() <= max ? text : text.substr(text.size() - max);
}

bool has_nul(const std::vector<std::string>& texts) {
  return std::any_of(texts.begin(), texts.end(),
                     [](const std::string& text) { return text.find('\0') != std::string::npos; });
}

}  // namespace

Bytes Hello::encode() const {
  ByteWriter out;
  out.u16(version_min);
  out.u16(version_max);
  out.text(build_id);
  out.u32(pid);
  return std::move(out).take();
}

Result<Hello> Hello::decode(ByteView payload) {
  ByteReader in(payload);
  Hello hello;
  hello.version_min = in.u16();
  hello.version_max = in.u16();
  hello.build_id = in.text();
  hello.pid = in.u32();
  if (!in.finished() || hello.build_id.size() > kMaxNameBytes || hello.version_min > hello.version_max) {
    return malformed("hello");
  }
  return hello;
}

Result<std::uint16_t> choose_version(const Hello& peer) {
  const std::uint16_t highest = std::min(peer.version_max, kVersionMax);
  if (highest < peer.version_min || highest < kVersionMin) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "the peer speaks protocol versions {} to {}, this build {} to {}",
                            peer.version_min, peer.version_max, kVersionMin, kVersionMax);
  }
  return highest;
}

Bytes Personalise::encode() const {
  ByteWriter out;
  out.u16(version);
  out.raw(entropy);
  out.u64(static_cast<std::uint64_t>(realtime_ns));
  out.text(hostname);
  out.text(machine_id);
  out.u8(keeps_disk ? 1 : 0);
  return std::move(out).take();
}

Result<Personalise> Personalise::decode(ByteView payload) {
  ByteReader in(payload);
  Personalise message;
  message.version = in.u16();
  const ByteView entropy = in.raw(message.entropy.size());
  std::copy(entropy.begin(), entropy.end(), message.entropy.begin());
  message.realtime_ns = static_cast<std::int64_t>(in.u64());
  message.hostname = in.text();
  message.machine_id = in.text();
  const std::uint8_t keeps_disk = in.u8();
  message.keeps_disk = keeps_disk == 1;
  if (!in.finished() || keeps_disk > 1 || message.hostname.size() > 64 || message.machine_id.size() != 32 ||
      message.realtime_ns < 0 || message.version < kVersionMin || message.version > kVersionMax) {
    return malformed("personalise");
  }
  return message;
}

Bytes Ready::encode() const {
  ByteWriter out;
  out.u64(uptime_ms);
  return std::move(out).take();
}

Result<Ready> Ready::decode(ByteView payload) {
  ByteReader in(payload);
  Ready message;
  message.uptime_ms = in.u64();
  if (!in.finished()) {
    return malformed("ready");
  }
  return message;
}

Bytes Failed::encode() const {
  ByteWriter out;
  out.i32(code);
  out.text(clipped(message, kMaxTextBytes));
  out.text(clipped(console, kMaxConsoleBytes));
  return std::move(out).take();
}

Result<Failed> Failed::decode(ByteView payload) {
  ByteReader in(payload);
  Failed failed;
  const std::int32_t code = in.i32();
  failed.message = in.text();
  failed.console = in.text();
  if (!in.finished() || failed.message.size() > kMaxTextBytes || failed.console.size() > kMaxConsoleBytes ||
      code < PYRO_ERROR_INVALID || code > PYRO_ERROR_INTERNAL) {
    return malformed("failed");
  }
  failed.code = static_cast<pyro_status>(code);
  return failed;
}

Bytes Progress::encode() const {
  ByteWriter out;
  out.text(stage);
  out.text(message);
  return std::move(out).take();
}

Result<Progress> Progress::decode(ByteView payload) {
  ByteReader in(payload);
  Progress progress;
  progress.stage = in.text();
  progress.message = in.text();
  if (!in.finished() || progress.stage.size() > kMaxNameBytes || progress.message.size() > kMaxTextBytes) {
    return malformed("progress");
  }
  return progress;
}

Bytes Log::encode() const {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(level));
  out.text(message);
  return std::move(out).take();
}

Result<Log> Log::decode(ByteView payload) {
  ByteReader in(payload);
  Log log;
  const std::uint8_t level = in.u8();
  log.message = in.text();
  if (!in.finished() || level < PYRO_LOG_ERROR || level > PYRO_LOG_DEBUG || log.message.size() > kMaxTextBytes) {
    return malformed("log");
  }
  log.level = static_cast<pyro_log_level>(level);
  return log;
}

std::size_t Exec::argument_bytes() const noexcept {
  // A u32 before each list and each text, as ByteWriter::texts() has it.
  std::size_t sum = 2 * sizeof(std::uint32_t);
  for (const auto* texts : {&argv, &env}) {
    for (const auto& text : *texts) {
      sum += sizeof(std::uint32_t) + text.size();
    }
  }
  return sum;
}

Bytes Exec::encode() const {
  ByteWriter out;
  out.texts(argv);
  out.texts(env);
  out.text(cwd);
  out.text(user);
  out.u8(static_cast<std::uint8_t>((pty ? kExecPty : 0) | (keeps_stdin ? kExecKeepsStdin : 0) |
                                   (ends_with_client ? kExecEndsWithClient : 0)));
  out.u16(pty_rows);
  out.u16(pty_columns);
  out.u64(timeout_ms);
  out.text(base::as_text(file_request));
  return std::move(out).take();
}

Result<Exec> Exec::decode(ByteView payload) {
  ByteReader in(payload);
  Exec exec;
  exec.argv = in.texts();
  exec.env = in.texts();
  exec.cwd = in.text();
  exec.user = in.text();
  const std::uint8_t flags = in.u8();
  exec.pty_rows = in.u16();
  exec.pty_columns = in.u16();
  exec.timeout_ms = in.u64();
  const ByteView file_request = in.raw(in.u32());
  exec.file_request.assign(file_request.begin(), file_request.end());
  exec.pty = (flags & kExecPty) != 0;
  exec.keeps_stdin = (flags & kExecKeepsStdin) != 0;
  exec.ends_with_client = (flags & kExecEndsWithClient) != 0;
  if (!in.finished() || flags > (kExecPty | kExecKeepsStdin | kExecEndsWithClient) || exec.argv.empty() ||
      exec.file_request.size() > kMaxFileRequestBytes || has_nul(exec.argv) || has_nul(exec.env) ||
      has_nul({exec.cwd, exec.user}) || exec.cwd.size() > kMaxPathBytes || exec.user.size() > kMaxNameBytes ||
      exec.argument_bytes() > kMaxArgumentBytes) {
    return malformed("exec");
  }
  return exec;
}

Bytes Credit::encode() const {
  ByteWriter out;
  out.u32(bytes);
  return std::move(out).take();
}

Result<Credit> Credit::decode(ByteView payload) {
  ByteReader in(payload);
  Credit credit;
  credit.bytes = in.u32();
  if (!in.finished() || credit.bytes == 0 || credit.bytes > kWindowBytes) {
    return malformed("credit");
  }
  return credit;
}

Bytes Signal::encode() const {
  ByteWriter out;
  out.i32(number);
  return std::move(out).take();
}

Result<Signal> Signal::decode(ByteView payload) {
  ByteReader in(payload);
  Signal signal;
  signal.number = in.i32();
  if (!in.finished() || signal.number < 1 || signal.number > 64) {
    return malformed("signal");
  }
  return signal;
}

Bytes Resize::encode() const {
  ByteWriter out;
  out.u16(rows);
  out.u16(columns);
  return std::move(out).take();
}

Result<Resize> Resize::decode(ByteView payload) {
  ByteReader in(payload);
  Resize resize;
  resize.rows = in.u16();
  resize.columns = in.u16();
  if (!in.finished() || resize.rows == 0 || resize.columns == 0) {
    return malformed("resize");
  }
  return resize;
}

Bytes Exit::encode() const {
  ByteWriter out;
  out.i32(exit_code);
  out.i32(term_signal);
  out.u8(static_cast<std::uint8_t>(failure));
  out.i32(status);
  out.text(clipped(message, kMaxTextBytes));
  out.u8(oom_killed ? 1 : 0);
  out.u8(timed_out ? 1 : 0);
  out.u64(duration_ms);
  out.u64(cpu_time_ms);
  out.u64(memory_peak_bytes);
  return std::move(out).take();
}

Result<Exit> Exit::decode(ByteView payload) {
  ByteReader in(payload);
  Exit exit;
  exit.exit_code = in.i32();
  exit.term_signal = in.i32();
  const std::uint8_t failure = in.u8();
  const std::int32_t status = in.i32();
  exit.message = in.text();
  const std::uint8_t oom_killed = in.u8();
  const std::uint8_t timed_out = in.u8();
  exit.duration_ms = in.u64();
  exit.cpu_time_ms = in.u64();
  exit.memory_peak_bytes = in.u64();
  exit.failure = static_cast<ExecFailure>(failure);
  exit.status = base::to_status(status).value_or(PYRO_OK);
  exit.oom_killed = oom_killed == 1;
  exit.timed_out = timed_out == 1;
  const bool known_failure = failure == 0 || (failure >= 125 && failure <= 127);
  const bool known_status = exit.failure == ExecFailure::other
                                ? status >= PYRO_ERROR_INVALID && status <= PYRO_ERROR_INTERNAL
                                : status == PYRO_OK;
  if (!in.finished() || !known_failure || !known_status || oom_killed > 1 || timed_out > 1 || exit.exit_code < 0 ||
      exit.exit_code > 255 || exit.term_signal < 0 || exit.term_signal > 64 || exit.message.size() > kMaxTextBytes) {
    return malformed("exit");
  }
  return exit;
}

Bytes GuestReset::encode() const {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(kind));
  return std::move(out).take();
}

Result<GuestReset> GuestReset::decode(ByteView payload) {
  ByteReader in(payload);
  GuestReset message;
  const std::uint8_t kind = in.u8();
  if (!in.finished() || kind < 1 || kind > 2) {
    return malformed("guest_reset");
  }
  message.kind = static_cast<GuestResetKind>(kind);
  return message;
}

Bytes Configure::encode() const {
  ByteWriter out;
  out.u16(version);
  out.u8(static_cast<std::uint8_t>(engine));
  out.u32(vcpu_count);
  out.u32(mem_mib);
  out.u32(disk_mib);
  out.u64(boot_timeout_ms);
  out.u64(max_lifetime_ms);
  out.u64(ttl_ms);
  out.text(vm_id);
  out.text(build_id);
  out.u8(outlives_client ? 1 : 0);
  return std::move(out).take();
}

Result<Configure> Configure::decode(ByteView payload) {
  ByteReader in(payload);
  Configure message;
  message.version = in.u16();
  const std::uint8_t engine = in.u8();
  message.vcpu_count = in.u32();
  message.mem_mib = in.u32();
  message.disk_mib = in.u32();
  message.boot_timeout_ms = in.u64();
  message.max_lifetime_ms = in.u64();
  message.ttl_ms = in.u64();
  message.vm_id = in.text();
  message.build_id = in.text();
  const std::uint8_t outlives_client = in.u8();
  message.outlives_client = outlives_client == 1;
  message.engine = static_cast<EngineKind>(engine);
  if (!in.finished() || outlives_client > 1 || engine < 1 || engine > 2 || message.version < kVersionMin ||
      message.version > kVersionMax || message.vcpu_count == 0 || message.mem_mib == 0 || message.disk_mib == 0 ||
      message.boot_timeout_ms == 0 || message.vm_id.empty() || message.vm_id.size() > kMaxNameBytes ||
      message.build_id.size() > kMaxNameBytes || message.ttl_ms > kMaxTimeMs) {
    return malformed("configure");
  }
  return message;
}

Bytes Attach::encode() const {
  ByteWriter out;
  out.u16(version);
  return std::move(out).take();
}

Result<Attach> Attach::decode(ByteView payload) {
  ByteReader in(payload);
  Attach message;
  message.version = in.u16();
  if (!in.finished() || message.version < kVersionMin || message.version > kVersionMax) {
    return malformed("attach");
  }
  return message;
}

Bytes SetTtl::encode() const {
  ByteWriter out;
  out.u64(ttl_ms);
  return std::move(out).take();
}

Result<SetTtl> SetTtl::decode(ByteView payload) {
  ByteReader in(payload);
  SetTtl message;
  message.ttl_ms = in.u64();
  if (!in.finished() || message.ttl_ms > kMaxTimeMs) {
    return malformed("set_ttl");
  }
  return message;
}

Bytes Dispatched::encode() const {
  ByteWriter out;
  out.u64(number);
  return std::move(out).take();
}

Result<Dispatched> Dispatched::decode(ByteView payload) {
  ByteReader in(payload);
  Dispatched message;
  message.number = in.u64();
  if (!in.finished()) {
    return malformed("dispatched");
  }
  return message;
}

Bytes Status::encode() const {
  ByteWriter out;
  out.text(state);
  out.u64(uptime_ms);
  out.u32(running_commands);
  out.u64(idle_left_ms);
  out.u64(lifetime_left_ms);
  out.u64(cpu_time_ms);
  return std::move(out).take();
}

Result<Status> Status::decode(ByteView payload) {
  ByteReader in(payload);
  Status status;
  status.state = in.text();
  status.uptime_ms = in.u64();
  status.running_commands = in.u32();
  status.idle_left_ms = in.u64();
  status.lifetime_left_ms = in.u64();
  status.cpu_time_ms = in.u64();
  if (!in.finished() || status.state.size() > kMaxNameBytes || status.idle_left_ms > kMaxTimeMs ||
      status.lifetime_left_ms > kMaxTimeMs) {
    return malformed("status");
  }
  return status;
}

std::array<Bytes, 3> refusal_frames(std::uint32_t stream, const base::Error& error) {
  Exit exit;
  exit.failure = ExecFailure::other;
  exit.exit_code = static_cast<std::int32_t>(exit.failure);
  exit.status = error.code;
  exit.message = error.message;
  return {data_frame(stream, Channel::out, {}, true), data_frame(stream, Channel::err, {}, true),
          message_frame(FrameType::exit, stream, exit)};
}

Bytes credit_frame(std::uint32_t stream, Channel channel, std::uint32_t bytes) {
  return message_frame(FrameType::credit, stream, Credit{bytes}, static_cast<std::uint8_t>(channel));
}

Bytes data_frame(std::uint32_t stream, Channel channel, ByteView bytes, bool end) {
  return encode_frame(FrameType::data, stream,
                      static_cast<std::uint8_t>(static_cast<std::uint8_t>(channel) | (end ? kFlagEnd : 0)), bytes);
}

}  // namespace pyro::wire
