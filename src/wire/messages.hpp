// The messages inside frames. Each has encode() → payload and a static decode(payload) that refuses
// whatever is short, long, or out of range, so that what a decoder returns may be used as it is.
// docs/wire-protocol.md tells which message follows which. Pure code: no I/O.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/frame.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace pyro::wire {

/// First frame of the serving end (agent, supervisor): who speaks, and which versions.
struct Hello {
  std::uint16_t version_min = kVersionMin;
  std::uint16_t version_max = kVersionMax;
  /// Identity of the build, so that a foreign program is refused.
  std::string build_id;
  /// Of the supervisor's process; 0 from an agent. To be believed in a supervisor's first words only: those come before
  /// any guest ran.
  std::uint32_t pid = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Hello> decode(base::ByteView payload);
};

/// The highest version that both know, or PYRO_ERROR_UNSUPPORTED.
base::Result<std::uint16_t> choose_version(const Hello& peer);

/// What turns a booted guest into this VM. First message to an agent: nothing before it may depend
/// on identity, time or randomness, so that a booted guest can serve as a template.
struct Personalise {
  std::uint16_t version = kVersionMax;
  std::array<std::byte, 32> entropy{};
  /// Real time on the host, nanoseconds since 1970.
  std::int64_t realtime_ns = 0;
  std::string hostname;
  /// 32 lower-case hexadecimal digits.
  std::string machine_id;
  /// The scratch disk outlives the VM: what a command wrote is on it before its exit is told.
  bool keeps_disk = false;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Personalise> decode(base::ByteView payload);
};

/// The guest can run commands.
struct Ready {
  /// Guest clock since the kernel's start.
  std::uint64_t uptime_ms = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Ready> decode(base::ByteView payload);
};

/// The sender cannot go on.
struct Failed {
  pyro_status code = PYRO_ERROR_INTERNAL;
  std::string message;
  /// Last console lines of the guest, if it has a part in it.
  std::string console;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Failed> decode(base::ByteView payload);
};

/// A stage of starting a VM.
struct Progress {
  std::string stage;
  std::string message;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Progress> decode(base::ByteView payload);
};

/// A line for the log of whoever asked for the VM.
struct Log {
  pyro_log_level level = PYRO_LOG_DEBUG;
  std::string message;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Log> decode(base::ByteView payload);
};

/// A command to run, on the stream that the frame names.
struct Exec {
  std::vector<std::string> argv;
  /// "NAME=value"; set on top of what a login of `user` has.
  std::vector<std::string> env;
  std::string cwd;
  std::string user;
  bool pty = false;
  /// Its input stays open when whoever may write to it has gone; with a terminal that is always so. The agent ignores it.
  bool keeps_stdin = false;
  std::uint16_t pty_rows = 24;
  std::uint16_t pty_columns = 80;
  /// 0: none. Enforced by the supervisor, which counts from `started`; the agent ignores it.
  std::uint64_t timeout_ms = 0;
  /// No command, but an operation on files that the agent does itself: an encoded FileRequest (file_messages.hpp). Then
  /// argv only names it. The supervisor does not look into it, and keeps no record of it.
  base::Bytes file_request;
  /// Kill it when its client goes: nobody has a use for it without.
  bool ends_with_client = false;

  /// What argv and env take in the message, lengths included; at most kMaxArgumentBytes.
  [[nodiscard]] std::size_t argument_bytes() const noexcept;
  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Exec> decode(base::ByteView payload);
};

/// Bytes granted on the channel that the frame's flags name.
struct Credit {
  std::uint32_t bytes = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Credit> decode(base::ByteView payload);
};

struct Signal {
  std::int32_t number = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Signal> decode(base::ByteView payload);
};

struct Resize {
  std::uint16_t rows = 0;
  std::uint16_t columns = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Resize> decode(base::ByteView payload);
};

/// How a command could not be started; the values are what a shell would exit with.
enum class ExecFailure : std::uint8_t { none = 0, other = 125, not_executable = 126, not_found = 127 };

/// The command has ended (or never began: `failure`). Follows the last data of both channels.
struct Exit {
  std::int32_t exit_code = 0;
  /// Signal that ended the command, else 0; then exit_code is 128 + it.
  std::int32_t term_signal = 0;
  ExecFailure failure = ExecFailure::none;
  /// With failure `other` the group that the reason belongs to, else PYRO_OK.
  pyro_status status = PYRO_OK;
  /// Why it could not be started, in words.
  std::string message;
  bool oom_killed = false;
  /// Set by the supervisor, never by the agent.
  bool timed_out = false;
  std::uint64_t duration_ms = 0;
  std::uint64_t cpu_time_ms = 0;
  std::uint64_t memory_peak_bytes = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Exit> decode(base::ByteView payload);
};

/// What a guest did when a command asked it to stop.
enum class GuestResetKind : std::uint8_t { reboot = 1, power_off = 2 };

struct GuestReset {
  GuestResetKind kind = GuestResetKind::power_off;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<GuestReset> decode(base::ByteView payload);
};

/// Which engine a supervisor is to drive.
enum class EngineKind : std::uint8_t { kvm = 1, software = 2 };

/// The descriptors that travel with Configure, in this order.
enum class ConfigureFd : std::uint8_t {
  client = 0,  // pidfd of the client: the VM ends with it
  kernel,      // guest kernel
  initramfs,   // guest modules
  agent,       // the agent's program file
  root,        // EROFS root image
  scratch,     // pristine ext4 image
  delta,       // empty unnamed file for what the guest writes; of a VM that outlives its client, its whole disk
  engine,      // software: QEMU's program file (O_PATH); kvm: /dev/kvm
  slot,        // where this file is at, supervisor or engine hold a lock: it counts among the VMs of its home
  cgroup,      // cgroup.procs of the one that it is to be in; /dev/null: it stays where it is
  count,
  // Only of a VM that outlives its client.
  listener = count,  // socket for other clients
  commands,          // both files of the journal (state/journal.hpp)
  output,
  lock,  // held for as long as this process lives
  count_outliving
};

/// First frame to a supervisor: everything it is to know.
struct Configure {
  std::uint16_t version = kVersionMax;
  EngineKind engine = EngineKind::software;
  std::uint32_t vcpu_count = 1;
  std::uint32_t mem_mib = 0;
  std::uint32_t disk_mib = 0;
  std::uint64_t boot_timeout_ms = 0;
  /// 0: none.
  std::uint64_t max_lifetime_ms = 0;
  /// How long a VM that outlives its client goes on without any client and command; 0: for ever.
  std::uint64_t ttl_ms = 0;
  std::string vm_id;
  std::string build_id;
  /// Once it is ready the VM goes on without this client, and takes others in.
  bool outlives_client = false;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Configure> decode(base::ByteView payload);
};

/// First frame of a client that did not start the VM.
struct Attach {
  /// The highest one that it and the supervisor's Hello know.
  std::uint16_t version = kVersionMax;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Attach> decode(base::ByteView payload);
};

/// A new time for Configure::ttl_ms.
struct SetTtl {
  std::uint64_t ttl_ms = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<SetTtl> decode(base::ByteView payload);
};

/// The command is on its way to the guest.
struct Dispatched {
  /// Of the command in its task's journal; 0 in a VM without one.
  std::uint64_t number = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Dispatched> decode(base::ByteView payload);
};

/// What a supervisor answers to status_request.
struct Status {
  /// "booting", "running", "stopping".
  std::string state;
  std::uint64_t uptime_ms = 0;
  std::uint32_t running_commands = 0;
  /// How much longer it goes on without any client and command; 0: for ever.
  std::uint64_t idle_left_ms = 0;
  /// Until it reaches its maximum lifetime; 0: it has none.
  std::uint64_t lifetime_left_ms = 0;
  /// CPU time that the guest has used; 0 if that cannot be told.
  std::uint64_t cpu_time_ms = 0;

  [[nodiscard]] base::Bytes encode() const;
  static base::Result<Status> decode(base::ByteView payload);
};

/// A whole frame around a message.
template <typename Message>
base::Bytes message_frame(FrameType type, std::uint32_t stream, const Message& message, std::uint8_t flags = 0) {
  return encode_frame(type, stream, flags, message.encode());
}

/// A frame without payload (ping, pong, kill, power_off, started, status_request, stop, stopped,
/// discard, keep).
inline base::Bytes bare_frame(FrameType type, std::uint32_t stream = 0) {
  return encode_frame(type, stream, 0, {});
}

/// The answer to an exec that is not run: both output channels end, and the exit says why. All of them go as data.
std::array<base::Bytes, 3> refusal_frames(std::uint32_t stream, const base::Error& error);

/// A credit frame for one channel.
base::Bytes credit_frame(std::uint32_t stream, Channel channel, std::uint32_t bytes);

/// A data frame for one channel; `bytes` is at most kMaxDataBytes.
base::Bytes data_frame(std::uint32_t stream, Channel channel, base::ByteView bytes, bool end);

}  // namespace pyro::wire
