// Operations of the C++ API: what is under way, driven step by step. Include <pyro/pyro.hpp>.
//
// Licensed under the Apache License, Version 2.0.
#pragma once

#include <pyro/pyro.h>
#include <pyro/file_types.hpp>
#include <pyro/task_types.hpp>
#include <pyro/types.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace pyro {

// ------------------------------------------------------------------ operations --------------------

enum class EventKind : std::uint32_t {
  none = PYRO_EVENT_NONE,
  /// Something took a step: stage, message, done, total.
  progress = PYRO_EVENT_PROGRESS,
  /// The command runs now: vm_id.
  started = PYRO_EVENT_STARTED,
  /// Bytes from the command: data.
  stdout_data = PYRO_EVENT_STDOUT,
  stderr_data = PYRO_EVENT_STDERR,
  /// Last event of an operation that runs a command: result.
  exit = PYRO_EVENT_EXIT,
  /// Last event of any other operation: environments, doctor, tasks, commands or files.
  done = PYRO_EVENT_DONE
};

/// One step of an operation. Which members count depends on kind; the others are empty. Everything
/// it points to is borrowed until the next next() of the operation, its move or its end.
struct Event {
  EventKind kind = EventKind::none;
  std::string_view data{};
  /// Stable id of the stage, such as "build" or "boot".
  std::string_view stage{};
  /// The step in words.
  std::string_view message{};
  /// Steps or bytes done, and in all; total is 0 where it is not known.
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  std::string_view vm_id{};
  const Result* result = nullptr;
  const EnvironmentList* environments = nullptr;
  const DoctorReport* doctor = nullptr;
  const TaskList* tasks = nullptr;
  const CommandList* commands = nullptr;
  const FileResult* files = nullptr;
  /// started: the command's number in its task. stdout_data, stderr_data of start_logs_task(): whose it is.
  std::uint64_t command_number = 0;
  /// started: the command has a terminal.
  bool pty = false;
  /// started: what is written with write_stdin() reaches the command.
  bool stdin_open = false;
};

/// Called with the events of kind progress.
using ProgressHandler = std::function<void(const Event&)>;
/// Called with events of every kind.
using EventHandler = std::function<void(const Event&)>;

// What the library itself needs; not part of the API.
namespace detail {

inline std::string text(const char* string) {
  return string == nullptr ? std::string() : std::string(string);
}
inline std::string_view view(const char* string) noexcept {
  return string == nullptr ? "" : std::string_view(string);
}

inline Error make_error(const pyro_error* error) {
  return {static_cast<ErrorCode>(pyro_error_code(error)), text(pyro_error_message(error)),
          text(pyro_error_console(error))};
}

/// Catches the pyro_error of one C call.
class ErrorSlot {
 public:
  ErrorSlot() = default;
  ErrorSlot(const ErrorSlot&) = delete;
  ErrorSlot& operator=(const ErrorSlot&) = delete;
  ~ErrorSlot() { pyro_error_destroy(&error_); }

  pyro_error** out() noexcept { return &error_; }

  /// Throws if `status` is an error; else gives it back (PYRO_OK, PYRO_AGAIN or PYRO_END).
  pyro_status check(pyro_status status) const {
    if (status < PYRO_ERROR_INVALID) {
      return status;
    }
    if (error_ == nullptr) {
      throw Error(static_cast<ErrorCode>(status), text(pyro_status_name(status)));
    }
    throw make_error(error_);
  }

 private:
  pyro_error* error_ = nullptr;
};

inline Result make_result(const pyro_result& from) {
  Result to;
  to.exit_code = from.exit_code;
  to.term_signal = from.term_signal;
  to.timed_out = from.timed_out != 0;
  to.oom_killed = from.oom_killed != 0;
  if (from.stdout_data != nullptr) {
    to.stdout_data.assign(from.stdout_data, from.stdout_size);
  }
  if (from.stderr_data != nullptr) {
    to.stderr_data.assign(from.stderr_data, from.stderr_size);
  }
  to.stdout_truncated = from.stdout_truncated != 0;
  to.stderr_truncated = from.stderr_truncated != 0;
  to.stdout_total_bytes = from.stdout_total_bytes;
  to.stderr_total_bytes = from.stderr_total_bytes;
  to.duration_ms = from.duration_ms;
  to.startup_ms = from.startup_ms;
  to.cpu_time_ms = from.cpu_time_ms;
  to.memory_peak_bytes = from.memory_peak_bytes;
  to.engine = static_cast<Engine>(from.engine);
  to.start_kind = static_cast<StartKind>(from.start_kind);
  to.vm_id = text(from.vm_id);
  to.task_id = text(from.task_id);
  to.command_number = from.command_number;
  return to;
}

inline EnvironmentList make_environments(const pyro_environment_list& from) {
  EnvironmentList to;
  to.environments.reserve(from.count);
  for (std::size_t i = 0; i < from.count; ++i) {
    const pyro_environment& item = *from.items[i];
    to.environments.push_back({text(item.name), text(item.description), item.available != 0, text(item.digest),
                               text(item.kernel_version), item.size_bytes,
                               std::chrono::sys_seconds(std::chrono::seconds(item.created_at))});
  }
  to.json = text(from.json);
  return to;
}

inline DoctorReport make_report(const pyro_doctor_report& from) {
  DoctorReport to;
  to.engine = static_cast<Engine>(from.engine);
  to.kvm_state = static_cast<KvmState>(from.kvm_state);
  to.healthy = from.healthy != 0;
  to.checks.reserve(from.check_count);
  for (std::size_t i = 0; i < from.check_count; ++i) {
    const pyro_check& check = *from.checks[i];
    to.checks.push_back(
        {text(check.name), static_cast<CheckStatus>(check.status), text(check.message), text(check.remedy)});
  }
  to.json = text(from.json);
  return to;
}

inline std::chrono::sys_seconds seconds_since_epoch(std::int64_t seconds) {
  return std::chrono::sys_seconds(std::chrono::seconds(seconds));
}

inline TaskList make_tasks(const pyro_vm_list& from) {
  TaskList to;
  to.tasks.reserve(from.count);
  for (std::size_t i = 0; i < from.count; ++i) {
    const pyro_vm_info& item = *from.items[i];
    TaskInfo& task = to.tasks.emplace_back();
    task.id = text(item.id);
    task.state = static_cast<TaskState>(item.state);
    task.reason = text(item.reason);
    task.environment = text(item.environment);
    for (std::size_t label = 0; label < item.label_count; ++label) {
      const std::string_view both = view(item.labels[label]);
      const auto equals = both.find('=');
      task.labels.emplace(both.substr(0, equals), equals == std::string_view::npos ? "" : both.substr(equals + 1));
    }
    task.engine = static_cast<Engine>(item.engine);
    task.vcpu_count = item.vcpu_count;
    task.mem_mib = item.mem_mib;
    task.disk_mib = item.disk_mib;
    task.running_commands = item.running_commands;
    task.command_count = item.command_count;
    task.created_at = seconds_since_epoch(item.created_at);
    task.started_at = seconds_since_epoch(item.started_at);
    task.expires_at = seconds_since_epoch(item.expires_at);
    task.uptime_ms = item.uptime_ms;
    task.cpu_time_ms = item.cpu_time_ms;
    task.disk_used_bytes = item.disk_used_bytes;
    task.host_memory_bytes = item.host_memory_bytes;
    task.host_cpu_time_ms = item.host_cpu_time_ms;
  }
  to.json = text(from.json);
  return to;
}

inline std::vector<std::string> texts(const char* const* from, std::size_t count) {
  std::vector<std::string> to;
  for (std::size_t i = 0; i < count; ++i) {
    to.push_back(text(from[i]));
  }
  return to;
}

inline CommandList make_commands(const pyro_command_list& from) {
  CommandList to;
  to.commands.reserve(from.count);
  for (std::size_t i = 0; i < from.count; ++i) {
    const pyro_command& item = *from.items[i];
    CommandRecord& command = to.commands.emplace_back();
    command.number = item.number;
    command.running = item.running != 0;
    command.argv = texts(item.argv, item.argc);
    command.argv_truncated = item.argv_truncated != 0;
    command.cwd = text(item.cwd);
    command.user = text(item.user);
    command.env_names = texts(item.env_names, item.env_count);
    command.pty = item.pty != 0;
    command.started_at = std::chrono::system_clock::time_point(
        std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::nanoseconds(item.started_at_ns)));
    command.exit_code = item.exit_code;
    command.term_signal = item.term_signal;
    command.timed_out = item.timed_out != 0;
    command.oom_killed = item.oom_killed != 0;
    command.message = text(item.message);
    command.duration_ms = item.duration_ms;
    command.cpu_time_ms = item.cpu_time_ms;
    command.memory_peak_bytes = item.memory_peak_bytes;
    command.stdout_total_bytes = item.stdout_total_bytes;
    command.stderr_total_bytes = item.stderr_total_bytes;
    if (item.stdout_data != nullptr) {
      command.stdout_data.assign(item.stdout_data, item.stdout_size);
    }
    if (item.stderr_data != nullptr) {
      command.stderr_data.assign(item.stderr_data, item.stderr_size);
    }
    command.stdout_truncated = item.stdout_truncated != 0;
    command.stderr_truncated = item.stderr_truncated != 0;
  }
  to.json = text(from.json);
  return to;
}

inline FileResult make_files(const pyro_file_result& from) {
  FileResult to;
  to.files.reserve(from.count);
  for (std::size_t i = 0; i < from.count; ++i) {
    const pyro_file_info& item = *from.items[i];
    to.files.push_back({text(item.path), static_cast<FileType>(item.type), text(item.target),
                        static_cast<FileChange>(item.change), item.mode, item.uid, item.gid, item.size_bytes,
                        item.mtime_ns});
  }
  to.truncated = from.truncated != 0;
  if (from.data != nullptr) {
    to.data.assign(from.data, from.data_size);
  }
  to.file_size_bytes = from.file_size_bytes;
  to.entry_count = from.entry_count;
  to.byte_count = from.byte_count;
  to.skipped_count = from.skipped_count;
  to.changed_count = from.changed_count;
  to.json = text(from.json);
  return to;
}

struct OpDeleter {
  void operator()(pyro_op* op) const noexcept { pyro_op_destroy(&op); }
};

}  // namespace detail

/// Something under way, to be driven step by step. Its destructor ends it and everything it started,
/// waiting for that (at most about two seconds).
///
///   for (const pyro::Event& event : operation) { ... }
///
/// An operation that fails ends by a pyro::Error thrown from next(), or from the loop above.
class Operation {
 public:
  /// Takes over a handle that a pyro_..._start() gave.
  explicit Operation(pyro_op* owned) noexcept : op_(owned) {}

  /// Takes the next event, waiting up to `timeout` for it. nullptr: nothing yet, or, if ended(), no
  /// more; it comes early when there is room for what wants_input() speaks of. A caller that takes no
  /// events makes the command wait once 256 KiB of its output are under way. Throws Error if the
  /// operation has failed. Since 0.1.
  const Event* next(std::chrono::milliseconds timeout) {
    if (ended_) {
      return nullptr;
    }
    pyro_event raw{};
    raw.struct_size = static_cast<std::uint32_t>(sizeof raw);
    detail::ErrorSlot error;
    const pyro_status status = error.check(pyro_op_next(op_.get(), timeout.count(), &raw, error.out()));
    if (status != PYRO_OK) {
      ended_ = status == PYRO_END;
      return nullptr;
    }
    if (raw.kind == PYRO_EVENT_ERROR) {
      ended_ = true;
      throw detail::make_error(raw.error);
    }
    take(raw);
    return &event_;
  }

  /// Takes the next event, waiting as long as it takes. nullptr: there are no more; or, while
  /// wants_input(), there may be room for the rest of it: write it and go on. Since 0.1.
  const Event* next() {
    const Event* event = nullptr;
    do {
      event = next(std::chrono::milliseconds(-1));
    } while (event == nullptr && !ended_ && !wants_input_);
    return event;
  }

  /// The last write_stdin() took less than it was given. Since 0.1.
  [[nodiscard]] bool wants_input() const noexcept { return wants_input_; }

  /// The last event was taken, or the operation has failed. Since 0.1.
  [[nodiscard]] bool ended() const noexcept { return ended_; }

  /// A descriptor that is readable while next() may have something to do: constant, level-triggered,
  /// may wake for nothing, owned by the operation. Poll it, do not read or close it. Since 0.1.
  [[nodiscard]] int fd() const noexcept { return pyro_op_fd(op_.get()); }

  /// Ends the operation: its next events end with Error cancelled, unless it was over already. Any
  /// thread may call it; it does not wait. Since 0.1.
  void cancel() {
    detail::ErrorSlot error;
    error.check(pyro_op_cancel(op_.get(), error.out()));
  }

  /// The handle of the C ABI; borrowed. Since 0.1.
  [[nodiscard]] pyro_op* handle() const noexcept { return op_.get(); }

  /// Single-pass iterator over the events that are still to come; incrementing it waits. It does not
  /// stop for room for input: use next() or RunOperation::write_all_stdin() where that matters.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Event;
    using difference_type = std::ptrdiff_t;
    using pointer = const Event*;
    using reference = const Event&;

    Iterator() = default;
    explicit Iterator(Operation* operation) : operation_(operation), event_(operation->next_event()) {}
    reference operator*() const noexcept { return *event_; }
    pointer operator->() const noexcept { return event_; }
    Iterator& operator++() {
      event_ = operation_->next_event();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& it, std::default_sentinel_t /*end*/) noexcept {
      return it.event_ == nullptr;
    }

   private:
    Operation* operation_ = nullptr;
    const Event* event_ = nullptr;
  };

  /// The events that are still to come; begin() waits for the first. Since 0.1.
  [[nodiscard]] Iterator begin() { return Iterator(this); }
  [[nodiscard]] static std::default_sentinel_t end() noexcept { return std::default_sentinel; }

 protected:
  /// Takes the next event, whether there is room for input or not. nullptr: there are no more.
  const Event* next_event() {
    const Event* event = nullptr;
    while (event == nullptr && !ended_) {
      event = next(std::chrono::milliseconds(-1));
    }
    return event;
  }

  /// The value of the last event, or Error state before it was taken.
  template <typename Value>
  static const Value& require(const std::optional<Value>& value) {
    if (!value) {
      throw Error(ErrorCode::state, "the operation has no result yet: take its events to the end first");
    }
    return *value;
  }

  std::optional<Result> result_;
  std::optional<EnvironmentList> environments_;
  std::optional<DoctorReport> doctor_;
  std::optional<TaskList> tasks_;
  std::optional<CommandList> commands_;
  std::optional<FileResult> files_;
  bool wants_input_ = false;

 private:
  void take(const pyro_event& raw) {
    event_ = Event{};
    event_.kind = static_cast<EventKind>(raw.kind);
    if (raw.data != nullptr) {
      event_.data = std::string_view(static_cast<const char*>(raw.data), raw.size);
    }
    event_.stage = detail::view(raw.stage);
    event_.message = detail::view(raw.message);
    event_.done = raw.done;
    event_.total = raw.total;
    event_.vm_id = detail::view(raw.vm_id);
    if (raw.result != nullptr) {
      event_.result = &result_.emplace(detail::make_result(*raw.result));
    }
    if (raw.environments != nullptr) {
      event_.environments = &environments_.emplace(detail::make_environments(*raw.environments));
    }
    if (raw.doctor != nullptr) {
      event_.doctor = &doctor_.emplace(detail::make_report(*raw.doctor));
    }
    event_.command_number = raw.command_number;
    event_.pty = raw.pty != 0;
    event_.stdin_open = raw.stdin_open != 0;
    if (raw.vms != nullptr) {
      event_.tasks = &tasks_.emplace(detail::make_tasks(*raw.vms));
    }
    if (raw.commands != nullptr) {
      event_.commands = &commands_.emplace(detail::make_commands(*raw.commands));
    }
    if (raw.files != nullptr) {
      event_.files = &files_.emplace(detail::make_files(*raw.files));
    }
    ended_ = event_.kind == EventKind::exit || event_.kind == EventKind::done;
  }

  std::unique_ptr<pyro_op, detail::OpDeleter> op_;
  Event event_;
  bool ended_ = false;
};

/// A command that runs in a VM of its own. Events: progress*, started, (stdout_data | stderr_data)*,
/// exit. The VM is gone when this object is, when the process ends, however it ends, and once the
/// command has ended.
class RunOperation : public Operation {
 public:
  using value_type = Result;

  /// `output_limit_bytes`: how much of each stream result() keeps; 0: 1 MiB.
  explicit RunOperation(pyro_op* owned, std::uint64_t output_limit_bytes = 0) noexcept
      : Operation(owned), limit_(output_limit_bytes == 0 ? kDefaultOutputLimitBytes : output_limit_bytes) {}

  /// Hands bytes to the command's standard input; never waits. Gives how many were taken, possibly
  /// none: call next(), or wait for fd() and then call it, and try the rest again whatever it gave.
  /// write_all_stdin() does that. Needs RunOptions::stdin_stream.
  /// Throws Error: invalid, state (input closed, or the command has ended). Since 0.1.
  [[nodiscard]] std::size_t write_stdin(std::string_view bytes) {
    std::size_t accepted = 0;
    detail::ErrorSlot error;
    error.check(pyro_op_write_stdin(handle(), bytes.data(), bytes.size(), &accepted, error.out()));
    wants_input_ = accepted < bytes.size();
    return accepted;
  }

  /// Hands all of `bytes` to the command's standard input, taking events while it has no room: they go
  /// to `on_event`, or are collected for result(). False: the command ended before it took all, and the
  /// exit event was taken. Throws Error as write_stdin() and next() do. Since 0.1.
  bool write_all_stdin(std::string_view bytes, const EventHandler& on_event = {}) {
    bool taken = write_rest(bytes);
    while (!taken && !ended()) {
      if (const Event* event = next()) {
        if (on_event) {
          on_event(*event);
        } else {
          collect(*event);
        }
      }
      taken = !ended() && write_rest(bytes);
    }
    wants_input_ = false;
    return taken;
  }

  /// Ends the command's standard input after what was taken. Since 0.1.
  void close_stdin() {
    detail::ErrorSlot error;
    error.check(pyro_op_close_stdin(handle(), error.out()));
    wants_input_ = false;
    input_closed_ = true;
  }

  /// Sends a signal (1 to 64, Linux numbers) to the command; with a terminal, to its foreground job.
  /// Before the command has started up to 16 are kept and sent then; more are an error (state). Since 0.1.
  void signal(int number) {
    detail::ErrorSlot error;
    error.check(pyro_op_signal(handle(), number, error.out()));
  }

  /// Changes the size of the command's terminal (1 to 65535 each). Since 0.1.
  void resize(std::uint32_t rows, std::uint32_t columns) {
    detail::ErrorSlot error;
    error.check(pyro_op_resize(handle(), rows, columns, error.out()));
  }

  /// Takes the remaining events and gives the result, with the output that came in them. Since 0.1.
  Result wait(const ProgressHandler& on_progress = {}) {
    while (const Event* event = next_event()) {
      if (on_progress && event->kind == EventKind::progress) {
        on_progress(*event);
      }
      collect(*event);
    }
    return result();
  }

  /// Keeps the output of an event for result(): what wait() does, for callers with their own loop. Since 0.1.
  void collect(const Event& event) {
    if (event.kind == EventKind::stdout_data) {
      keep(stdout_data_, event.data);
    } else if (event.kind == EventKind::stderr_data) {
      keep(stderr_data_, event.data);
    }
  }

  /// The result, with the output that was collected, which is moved out. Throws Error state before
  /// the exit event was taken. Since 0.1.
  Result result() {
    Result result = require(result_);
    result.stdout_data = std::exchange(stdout_data_, {});
    result.stderr_data = std::exchange(stderr_data_, {});
    result.stdout_truncated = result.stdout_total_bytes > result.stdout_data.size();
    result.stderr_truncated = result.stderr_total_bytes > result.stderr_data.size();
    return result;
  }

 private:
  static constexpr std::uint64_t kDefaultOutputLimitBytes = std::uint64_t{1} << 20;

  /// True: nothing is left of `bytes`. A command that has ended takes no more; its last events say so.
  bool write_rest(std::string_view& bytes) {
    try {
      bytes.remove_prefix(write_stdin(bytes));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::state || input_closed_) {
        throw;
      }
      wants_input_ = false;
    }
    return bytes.empty();
  }

  void keep(std::string& kept, std::string_view bytes) const {
    const std::uint64_t room = limit_ - std::min<std::uint64_t>(limit_, kept.size());
    kept.append(bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(room, bytes.size()))));
  }

  std::uint64_t limit_;
  bool input_closed_ = false;
  std::string stdout_data_;
  std::string stderr_data_;
};

/// A command in a task, started here or attached to. When this object goes before the command has ended, the command goes
/// on; its input is closed then, unless it has a terminal or ExecOptions::keep_stdin, or somebody else may write to it.
/// Events as RunOperation's; of a detached one: progress*, done.
class ExecOperation : public RunOperation {
 public:
  using RunOperation::RunOperation;

  /// Number of a detached command. Throws Error state before the done event was taken. Since 0.1.
  [[nodiscard]] std::uint64_t command_number() const { return require(commands_).commands.at(0).number; }
};

/// A call about tasks. Events: progress*, done.
class TaskOperation : public Operation {
 public:
  using value_type = TaskList;
  using Operation::Operation;

  /// Takes the remaining events and gives what came of it. Since 0.1.
  TaskList wait(const ProgressHandler& on_progress = {}) {
    while (const Event* event = next_event()) {
      if (on_progress && event->kind == EventKind::progress) {
        on_progress(*event);
      }
    }
    return result();
  }

  /// For callers with their own loop, as RunOperation::collect(): nothing to keep here. Since 0.1.
  static void collect(const Event& /*event*/) noexcept {}

  /// What came of it. Throws Error state before the done event was taken. Since 0.1.
  [[nodiscard]] TaskList result() const { return require(tasks_); }
};

/// A task's journal, piece by piece. Events: (stdout_data | stderr_data)* if it follows, done.
class LogsOperation : public Operation {
 public:
  using value_type = CommandList;
  using Operation::Operation;

  /// Takes the remaining events and gives the commands. Since 0.1.
  CommandList wait(const EventHandler& on_event = {}) {
    while (const Event* event = next_event()) {
      if (on_event) {
        on_event(*event);
      }
    }
    return result();
  }

  /// For callers with their own loop, as RunOperation::collect(): nothing to keep here. Since 0.1.
  static void collect(const Event& /*event*/) noexcept {}

  /// The commands. Throws Error state before the done event was taken. Since 0.1.
  [[nodiscard]] CommandList result() const { return require(commands_); }
};

/// A call about files. Events: started, (progress | stdout_data)*, done. One that was started to take input has it from
/// write_stdin(), until close_stdin(). When this object goes before the end, a file that is written then is what it was
/// before, and a tree keeps what has come.
class FileOperation : public Operation {
 public:
  using value_type = FileResult;
  using Operation::Operation;

  /// As RunOperation::write_stdin(). Since 0.1.
  [[nodiscard]] std::size_t write_stdin(std::string_view bytes) {
    std::size_t accepted = 0;
    detail::ErrorSlot error;
    error.check(pyro_op_write_stdin(handle(), bytes.data(), bytes.size(), &accepted, error.out()));
    wants_input_ = accepted < bytes.size();
    return accepted;
  }

  /// Hands all of `bytes` over, taking events while there is no room. Throws Error as write_stdin() and next() do.
  /// Since 0.1.
  void write_all_stdin(std::string_view bytes) {
    bytes.remove_prefix(write_stdin(bytes));
    while (!bytes.empty()) {
      next();
      bytes.remove_prefix(write_stdin(bytes));
    }
  }

  /// The input is complete. Since 0.1.
  void close_stdin() {
    detail::ErrorSlot error;
    error.check(pyro_op_close_stdin(handle(), error.out()));
    wants_input_ = false;
  }

  /// Takes the remaining events and gives what came of it, with the content of a read. Since 0.1.
  FileResult wait(const ProgressHandler& on_progress = {}) {
    while (const Event* event = next_event()) {
      if (on_progress && event->kind == EventKind::progress) {
        on_progress(*event);
      }
      collect(*event);
    }
    return result();
  }

  /// Keeps the content of an event for result(): what wait() does, for callers with their own loop. Since 0.1.
  void collect(const Event& event) {
    if (event.kind == EventKind::stdout_data) {
      data_.append(event.data);
    }
  }

  /// What came of it; collected content is moved out. Throws Error state before the done event was taken. Since 0.1.
  [[nodiscard]] FileResult result() {
    FileResult result = require(files_);
    result.data = std::exchange(data_, {});
    return result;
  }

 private:
  std::string data_;
};

/// Work on environments. Events: progress*, done.
class EnvironmentOperation : public Operation {
 public:
  using value_type = EnvironmentList;
  using Operation::Operation;

  /// Takes the remaining events and gives what came of it. Since 0.1.
  EnvironmentList wait(const ProgressHandler& on_progress = {}) {
    while (const Event* event = next_event()) {
      if (on_progress && event->kind == EventKind::progress) {
        on_progress(*event);
      }
    }
    return result();
  }

  /// For callers with their own loop, as RunOperation::collect(): nothing to keep here. Since 0.1.
  static void collect(const Event& /*event*/) noexcept {}

  /// What came of it. Throws Error state before the done event was taken. Since 0.1.
  [[nodiscard]] EnvironmentList result() const { return require(environments_); }
};

/// A host check. Events: progress*, done.
class DoctorOperation : public Operation {
 public:
  using value_type = DoctorReport;
  using Operation::Operation;

  /// Takes the remaining events and gives the report. Since 0.1.
  DoctorReport wait() {
    while (next_event() != nullptr) {
    }
    return result();
  }

  /// For callers with their own loop, as RunOperation::collect(): nothing to keep here. Since 0.1.
  static void collect(const Event& /*event*/) noexcept {}

  /// The report. Throws Error state before the done event was taken. Since 0.1.
  [[nodiscard]] DoctorReport result() const { return require(doctor_); }
};

}  // namespace pyro
