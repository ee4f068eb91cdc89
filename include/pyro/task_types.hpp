// The values of the C++ API for tasks: options, what a task is, what its journal tells. Include <pyro/pyro.hpp>.
//
// Licensed under the Apache License, Version 2.0.
#pragma once

#include <pyro/pyro.h>
#include <pyro/types.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pyro {

/// What a task is to be.
struct TaskOptions {
  /// Name of the environment, such as "debian:12". Required. One that is not there yet is built first.
  std::string environment{};
  /// Names and values to find it by; at most 64.
  std::map<std::string, std::string> labels{};
  Engine engine = Engine::automatic;
  /// 1 to 16. Default: 1.
  std::uint32_t vcpu_count = 0;
  /// Memory of the guest, 128 to 65536. Default: 1024.
  std::uint32_t mem_mib = 0;
  /// The task's disk: everything that commands write, and all that they may, 64 to 1048576. Default: 2048.
  std::uint32_t disk_mib = 0;
  /// Not built yet: ErrorCode::unsupported.
  bool network = false;
  /// How long the VM may take to start: 0.001 to 86400. Default: 60.
  Seconds boot_timeout_seconds{};
  /// How long it goes on with no client connected and no command running: 0.001 to 31536000, or kNoTimeout.
  /// Default: 600. Then it is stopped.
  Seconds ttl_seconds{};
  /// How long its VM may run from a start on: 0.001 to 31536000. Default: no limit. Then it is stopped.
  Seconds max_lifetime_seconds{};
  /// How long it is kept once it is stopped or has failed: 0.001 to 31536000, or kNoTimeout. Default: 7 days. Then it
  /// is deleted.
  Seconds retention_seconds{};
  /// A directory of this host whose content is copied into /workspace, or an uncompressed tar file: as upload() does.
  /// diff_task() compares with it. Not of VMs.
  std::string seed{};
};

/// What to run in a task; as in RunOptions.
struct ExecOptions {
  Command command{};
  std::map<std::string, std::string> env{};
  std::string cwd{};
  std::string user{};
  std::string stdin_data{};
  bool stdin_stream = false;
  bool pty = false;
  std::uint32_t pty_rows = 0;
  std::uint32_t pty_columns = 0;
  Seconds timeout_seconds{};
  std::uint64_t output_limit_bytes = 0;
  /// Its input stays open when its client goes, for those who attach later. With a terminal that is always so.
  bool keep_stdin = false;
};

/// Which command to attach to.
struct AttachOptions {
  /// Of the command in its task, from 1 on. Required.
  std::uint64_t command_number = 0;
  /// Take part in the command's input: ExecOperation::write_stdin(). Else it is left alone.
  bool stdin_stream = false;
  /// Size that the command's terminal gets, 1 to 65535 each; then the program in it is asked to redraw. Default: as it
  /// is.
  std::uint32_t pty_rows = 0;
  std::uint32_t pty_columns = 0;
  /// How much of what it printed before is told, the last part, both streams together. Default: 64 KiB.
  /// UINT64_MAX: all that is kept.
  std::uint64_t tail_bytes = 0;
  /// As in RunOptions.
  std::uint64_t output_limit_bytes = 0;
};

/// What a task's VM is doing.
enum class TaskState : std::uint32_t {
  /// Never started.
  created = PYRO_VM_CREATED,
  /// It boots, or another process works on it.
  starting = PYRO_VM_STARTING,
  /// It takes commands.
  running = PYRO_VM_RUNNING,
  /// Not built yet.
  paused = PYRO_VM_PAUSED,
  /// It was stopped, or expired; reason says which.
  stopped = PYRO_VM_STOPPED,
  /// It was lost; reason says how.
  failed = PYRO_VM_FAILED
};

/// "created", "starting", "running", "paused", "stopped" or "failed". Since 0.1.
inline std::string_view to_string(TaskState state) noexcept {
  switch (state) {
    case TaskState::created:
      return "created";
    case TaskState::starting:
      return "starting";
    case TaskState::running:
      return "running";
    case TaskState::paused:
      return "paused";
    case TaskState::stopped:
      return "stopped";
    case TaskState::failed:
      return "failed";
  }
  return "unknown";
}

/// One task.
struct TaskInfo {
  /// 12 letters and digits.
  std::string id{};
  TaskState state = TaskState::created;
  /// Why it is stopped or failed; else empty.
  std::string reason{};
  std::string environment{};
  std::map<std::string, std::string> labels{};
  /// Which one ran it last; automatic if none has.
  Engine engine = Engine::automatic;
  std::uint32_t vcpu_count = 0;
  std::uint32_t mem_mib = 0;
  std::uint32_t disk_mib = 0;
  /// Commands that run now. Only from status_task(): the same for uptime_ms, cpu_time_ms, and expires_at of one that runs.
  std::uint32_t running_commands = 0;
  /// Commands that were run in it so far.
  std::uint64_t command_count = 0;
  std::chrono::sys_seconds created_at{};
  /// The epoch if it never was.
  std::chrono::sys_seconds started_at{};
  /// When it is stopped (running) or deleted (not running) if nobody uses it until then; the epoch: never, or not known.
  std::chrono::sys_seconds expires_at{};
  std::uint64_t uptime_ms = 0;
  /// CPU time of the guest; 0 if not known.
  std::uint64_t cpu_time_ms = 0;
  /// What its files take on the host's disk.
  std::uint64_t disk_used_bytes = 0;
  /// Of one that runs: what its processes (supervisor and engine, the guest in them) hold of the host's memory besides
  /// files: anonymous and shared memory. Pages that VMs share count for each. 0: it does not run, or it cannot be told.
  std::uint64_t host_memory_bytes = 0;
  /// Of one that runs: CPU time of these processes since its start. 0 as above.
  std::uint64_t host_cpu_time_ms = 0;
};

/// One VM of the explicit life cycle: told of in the same words.
using VmInfo = TaskInfo;

/// What calls about tasks give, and those about VMs.
struct TaskList {
  std::vector<TaskInfo> tasks{};
  /// The same as one JSON object.
  std::string json{};
};

/// Which tasks list_tasks() gives.
struct TaskFilter {
  /// Only those that have all of these.
  std::map<std::string, std::string> labels{};
  /// Only those in one of these. Default: all.
  std::vector<TaskState> states{};
};

/// How start_logs_task() tells what commands printed.
enum class LogsMode : std::uint32_t {
  /// In the list that ends it.
  list = PYRO_LOGS_LIST,
  /// As events in the order of printing: all that there is now.
  stream = PYRO_LOGS_STREAM,
  /// The same, and what is still to come: until the command asked for has ended, or the task does not run.
  follow = PYRO_LOGS_FOLLOW
};

/// What to tell of a task's journal.
struct LogsOptions {
  /// Only this command. Default: the newest ones.
  std::uint64_t command_number = 0;
  /// How many of the newest. Default: 1000. UINT64_MAX: all.
  std::uint64_t command_limit = 0;
  /// How much of each stream of each command, the last part. Default: 1 MiB. UINT64_MAX: all that is kept.
  std::uint64_t output_limit_bytes = 0;
  /// logs_task() knows list only.
  LogsMode mode = LogsMode::list;
};

/// One command in the journal of a task.
struct CommandRecord {
  /// Counts from 1 in each task.
  std::uint64_t number = 0;
  /// It runs, or its VM was killed before it could say how it ended.
  bool running = false;
  /// Long ones are cut, and argv_truncated says so.
  std::vector<std::string> argv{};
  bool argv_truncated = false;
  std::string cwd{};
  std::string user{};
  /// Of the variables that were set; values are not recorded.
  std::vector<std::string> env_names{};
  bool pty = false;
  std::chrono::system_clock::time_point started_at{};
  // As in Result, once it has ended.
  std::int32_t exit_code = 0;
  std::int32_t term_signal = 0;
  bool timed_out = false;
  bool oom_killed = false;
  /// Why it was not started, or why its outcome is not known; empty if it ran.
  std::string message{};
  std::uint64_t duration_ms = 0;
  std::uint64_t cpu_time_ms = 0;
  std::uint64_t memory_peak_bytes = 0;
  /// How much it printed in all, as far as known.
  std::uint64_t stdout_total_bytes = 0;
  std::uint64_t stderr_total_bytes = 0;
  /// What is kept of it, the last part.
  std::string stdout_data{};
  std::string stderr_data{};
  bool stdout_truncated = false;
  bool stderr_truncated = false;
};

/// What logs_task() gives.
struct CommandList {
  /// By number.
  std::vector<CommandRecord> commands{};
  /// The same as one JSON object.
  std::string json{};
};

}  // namespace pyro
