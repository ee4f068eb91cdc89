// The values of the C++ API: errors, options and results. Include <pyro/pyro.hpp>.
//
// Licensed under the Apache License, Version 2.0.
#pragma once

#include <pyro/pyro.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pyro {

// ------------------------------------------------------------------ errors ------------------------

/// What became of a call, grouped by what a caller can do about it; docs/errors.md says more.
enum class ErrorCode : std::uint32_t {
  /// An argument is missing, out of range or makes no sense. Mend the call.
  invalid = PYRO_ERROR_INVALID,
  /// The object was made before fork() and belongs to the parent process. Make a new one.
  forked = PYRO_ERROR_FORKED,
  /// What was named does not exist.
  not_found = PYRO_ERROR_NOT_FOUND,
  /// What was to be made exists already.
  exists = PYRO_ERROR_EXISTS,
  /// It exists, but not in a state that allows this.
  state = PYRO_ERROR_STATE,
  /// This host, or this build, cannot do it; what() says what is missing.
  unsupported = PYRO_ERROR_UNSUPPORTED,
  /// A limit was reached, or memory, disk, descriptors or processes ran out.
  limit = PYRO_ERROR_LIMIT,
  /// The environment is broken, or could not be built.
  environment = PYRO_ERROR_ENVIRONMENT,
  /// The guest did not start; console() has its last words.
  boot = PYRO_ERROR_BOOT,
  /// The VM was lost before the command was started: running it again is safe.
  not_started = PYRO_ERROR_NOT_STARTED,
  /// The VM was lost after the command was started: what it did is unknown.
  outcome_unknown = PYRO_ERROR_OUTCOME_UNKNOWN,
  /// An operation (not a command) took longer than it may.
  timeout = PYRO_ERROR_TIMEOUT,
  /// cancel() ended the operation.
  cancelled = PYRO_ERROR_CANCELLED,
  /// A defect of the library.
  internal = PYRO_ERROR_INTERNAL
};

/// Short lower-case name of a code, such as "not_found". Static. Since 0.1.
inline std::string_view to_string(ErrorCode code) noexcept {
  return pyro_status_name(static_cast<pyro_status>(code));
}

/// The one exception of this API. what() says what failed, on what, why, and what to do next, in one
/// or two lines. Since 0.1.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, std::string console = {})
      : std::runtime_error(message), code_(code), console_(std::make_shared<const std::string>(std::move(console))) {}

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }

  /// The last lines of the guest's console; empty if the guest had no part in it. The guest wrote
  /// them: neutralise control characters before showing them on a terminal.
  [[nodiscard]] const std::string& console() const noexcept { return *console_; }

 private:
  ErrorCode code_;
  std::shared_ptr<const std::string> console_;  // shared: copying an exception must not throw
};

// ------------------------------------------------------------------ options -----------------------

/// What runs a VM.
enum class Engine : std::uint32_t {
  /// KVM if this host accelerates it, else software; the variable PYRO_ENGINE may narrow it.
  automatic = PYRO_ENGINE_AUTO,
  /// libpyro's own monitor on an accelerated /dev/kvm, or ErrorCode::unsupported.
  kvm = PYRO_ENGINE_KVM,
  /// Emulation by QEMU. Works everywhere; slower, and a weaker boundary: see the threat model.
  software = PYRO_ENGINE_SOFTWARE
};

/// "auto", "kvm" or "software". Since 0.1.
inline std::string_view to_string(Engine engine) noexcept {
  switch (engine) {
    case Engine::automatic:
      return "auto";
    case Engine::kvm:
      return "kvm";
    case Engine::software:
      return "software";
  }
  return "unknown";
}

/// A length of time as options take it: a number of seconds, or any std::chrono duration.
class Seconds {
 public:
  constexpr Seconds() noexcept = default;
  constexpr Seconds(double seconds) noexcept : value_(seconds) {}  // NOLINT(google-explicit-constructor)
  template <typename Rep, typename Period>
  constexpr Seconds(std::chrono::duration<Rep, Period> duration) noexcept  // NOLINT(google-explicit-constructor)
      : value_(std::chrono::duration_cast<std::chrono::duration<double>>(duration).count()) {}

  [[nodiscard]] constexpr double count() const noexcept { return value_; }

 private:
  double value_ = 0.0;
};

/// As a timeout: none.
inline constexpr Seconds kNoTimeout{PYRO_NO_TIMEOUT};

/// What to run: a string is a line for /bin/sh, a list is a program and its arguments, executed as
/// they are. Bytes, not text: no encoding is assumed.
class Command {
 public:
  Command() = default;
  Command(const char* shell_line) : shell_line_(shell_line) {}             // NOLINT(google-explicit-constructor)
  Command(std::string shell_line) : shell_line_(std::move(shell_line)) {}  // NOLINT(google-explicit-constructor)
  Command(std::string_view shell_line) : shell_line_(shell_line) {}        // NOLINT(google-explicit-constructor)
  Command(std::initializer_list<std::string> argv) : argv_(argv) {}
  Command(std::vector<std::string> argv) : argv_(std::move(argv)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] const std::optional<std::string>& shell_line() const noexcept { return shell_line_; }
  [[nodiscard]] const std::vector<std::string>& argv() const noexcept { return argv_; }

 private:
  std::optional<std::string> shell_line_;
  std::vector<std::string> argv_;
};

/// What to run, where, and within which limits.
struct RunOptions {
  /// Name of the environment, such as "debian:12". Required. One that is not there yet is built first.
  std::string environment{};
  /// What to run. Required.
  Command command{};
  /// Environment variables, set on top of the environment's own.
  std::map<std::string, std::string> env{};
  /// Working directory in the guest. Default: /workspace.
  std::string cwd{};
  /// User name or number in the guest. Default: root.
  std::string user{};
  /// The command's standard input. Default: empty.
  std::string stdin_data{};
  /// Instead of stdin_data: write_stdin() and close_stdin() of the operation. Not for run_in_vm().
  bool stdin_stream = false;
  /// Run on a pseudo terminal; its output comes as stdout.
  bool pty = false;
  /// Size of the terminal. Default: 24 x 80.
  std::uint32_t pty_rows = 0;
  std::uint32_t pty_columns = 0;
  Engine engine = Engine::automatic;
  /// 1 to 16. Default: 1.
  std::uint32_t vcpu_count = 0;
  /// Memory of the guest, 128 to 65536. Default: 1024.
  std::uint32_t mem_mib = 0;
  /// Scratch disk: what the command writes anywhere, 64 to 1048576. Default: 2048.
  std::uint32_t disk_mib = 0;
  /// Not built yet: ErrorCode::unsupported.
  bool network = false;
  /// How long the command may run, from its start in the guest: 0.001 to 31536000, or kNoTimeout. Default: 30.
  Seconds timeout_seconds{};
  /// How long the VM may take to start: 0.001 to 86400. Default: 60.
  Seconds boot_timeout_seconds{};
  /// How long the VM may live in all: 0.001 to 31536000. Default: no limit.
  Seconds max_lifetime_seconds{};
  /// How much of each stream a Result keeps. Default: 1 MiB. UINT64_MAX: all.
  std::uint64_t output_limit_bytes = 0;
};

// ------------------------------------------------------------------ results -----------------------

/// How the VM that ran a command came to be.
enum class StartKind : std::uint32_t {
  cold = PYRO_START_COLD,
  from_template = PYRO_START_TEMPLATE,
  running = PYRO_START_RUNNING
};

/// "cold", "template" or "running". Since 0.1.
inline std::string_view to_string(StartKind kind) noexcept {
  switch (kind) {
    case StartKind::cold:
      return "cold";
    case StartKind::from_template:
      return "template";
    case StartKind::running:
      return "running";
  }
  return "unknown";
}

/// What a command did.
struct Result {
  /// The command's; 124 if timed_out; 128 + N if signal N killed it; 126 or 127 if it could not be
  /// executed or found.
  std::int32_t exit_code = 0;
  /// The signal that ended the command, else 0.
  std::int32_t term_signal = 0;
  /// timeout_seconds passed and the whole process tree was killed.
  bool timed_out = false;
  /// The guest ran out of memory and killed a process of the command.
  bool oom_killed = false;
  /// What the command printed, as bytes: the first output_limit_bytes of each stream.
  std::string stdout_data{};
  std::string stderr_data{};
  /// More was printed than was kept; it was counted and dropped.
  bool stdout_truncated = false;
  bool stderr_truncated = false;
  /// How much the command printed in all.
  std::uint64_t stdout_total_bytes = 0;
  std::uint64_t stderr_total_bytes = 0;
  /// From the command's start in the guest to its end.
  std::uint64_t duration_ms = 0;
  /// From the call to the command's start in the guest.
  std::uint64_t startup_ms = 0;
  /// CPU time of the command's process tree; 0 if not known.
  std::uint64_t cpu_time_ms = 0;
  /// Peak memory of the command's process tree; 0 if not known.
  std::uint64_t memory_peak_bytes = 0;
  /// Which engine ran it; never automatic.
  Engine engine = Engine::software;
  StartKind start_kind = StartKind::cold;
  /// Id of the VM.
  std::string vm_id{};
  /// Id of the task, and the command's number in it; empty and 0 in a VM of its own.
  std::string task_id{};
  std::uint64_t command_number = 0;

  /// The command ran to its end and said 0.
  [[nodiscard]] bool success() const noexcept { return exit_code == 0; }
};

/// One environment: a root filesystem with its kernel.
struct Environment {
  std::string name{};
  /// One line for people.
  std::string description{};
  /// Its files are here; else it is in the catalogue and will be built on first use, or it is damaged: description
  /// says why.
  bool available = false;
  /// "sha256:..." of its manifest; empty if not available.
  std::string digest{};
  /// Version of the guest kernel; empty if not available.
  std::string kernel_version{};
  /// Size on disk; 0 if not available.
  std::uint64_t size_bytes = 0;
  /// When it was built or imported; the epoch if not available.
  std::chrono::sys_seconds created_at{};
};

/// What an environment operation gives.
struct EnvironmentList {
  std::vector<Environment> environments{};
  /// The same and more (packages, files, what prune freed) as one JSON object.
  std::string json{};
};

/// Outcome of one check of doctor().
enum class CheckStatus : std::uint32_t {
  ok = PYRO_CHECK_OK,
  /// Works, but not as well as it could.
  warning = PYRO_CHECK_WARNING,
  /// Does not work until the remedy is applied.
  failed = PYRO_CHECK_FAILED
};

/// One check of doctor().
struct Check {
  /// Stable id, such as "kvm" or "qemu".
  std::string name{};
  CheckStatus status = CheckStatus::ok;
  /// What was found.
  std::string message{};
  /// What to do; empty if nothing.
  std::string remedy{};
};

/// What /dev/kvm is worth on this host.
enum class KvmState : std::uint32_t {
  absent = PYRO_KVM_ABSENT,
  no_permission = PYRO_KVM_NO_PERMISSION,
  /// It opens, but guest kernels are emulated, too slow to use.
  emulating = PYRO_KVM_EMULATING,
  accelerated = PYRO_KVM_ACCELERATED
};

/// What this host can do.
struct DoctorReport {
  /// What Engine::automatic picks now; automatic if none works.
  Engine engine = Engine::automatic;
  KvmState kvm_state = KvmState::absent;
  /// No check failed.
  bool healthy = false;
  std::vector<Check> checks{};
  /// The same as one JSON object.
  std::string json{};
};

}  // namespace pyro
