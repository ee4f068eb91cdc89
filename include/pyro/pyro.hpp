// pyro.hpp - the C++ API of libpyro: run commands that nobody has read in microVMs.
//
//   pyro::Pyro pyro;
//   pyro::Result result = pyro.run_in_vm({.environment = "debian:12", .command = {"git", "--version"}});
//
// Header-only over the C ABI <pyro/pyro.h>, for C++20 and newer, on the standard library alone; link
// with -lpyro. pyro/asio.hpp adds completion tokens (co_await). docs/contract.md has every option.
//
// Errors     Every function that can fail throws pyro::Error and nothing else of its own. A command
//            that fails, or is killed, or runs into its time limit, is a Result, not an error.
// Ownership  Pyro and the operations are move-only owners; Result and the lists are plain values.
//            What an Event points to is borrowed until the next next() of its operation.
// Options    Aggregates for designated initialisers, which C++ wants in the order of declaration.
//            Zero and empty mean the default.
// Threads    Any thread may use one Pyro, several at once. An operation belongs to one thread at a
//            time, except cancel(), which any thread may call.
// Processes  No threads, no signal handlers, no changes to the host process. In a forked child the
//            parent's objects throw ErrorCode::forked (their destructors are safe); make a new Pyro.
//
// Licensed under the Apache License, Version 2.0.
#pragma once

#include <pyro/pyro.h>
#include <pyro/file_types.hpp>
#include <pyro/operation.hpp>
#include <pyro/types.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pyro {

// ------------------------------------------------------------------ version -----------------------

/// Version of the library that is running, such as "0.1.0". Since 0.1.
inline std::string_view version() noexcept {
  return pyro_version_string();
}

/// Whether this build of the library has a feature, such as "engine.kvm"; see pyro_feature(). Since 0.1.
inline bool has_feature(const char* name) noexcept {
  return pyro_feature(name) == 1;
}

// What the library itself needs; not part of the API.
namespace detail {

/// A string for C. A NUL inside would silently cut it there, so it is refused.
inline const char* c_string(const std::string& string, const char* what) {
  if (string.find('\0') != std::string::npos) {
    throw Error(ErrorCode::invalid, text(what) + " contains a NUL byte: the guest could not be given it whole");
  }
  return string.c_str();
}

/// The same for an option whose empty value means the default.
inline const char* c_string_or_null(const std::string& string, const char* what) {
  return string.empty() ? nullptr : c_string(string, what);
}

/// "NAME=VALUE" strings for C.
class CPairs {
 public:
  CPairs(const std::map<std::string, std::string>& from, const char* what) {
    for (const auto& [name, value] : from) {
      if (name.empty() || name.find('=') != std::string::npos) {
        throw Error(ErrorCode::invalid, text(what) + ": the name \"" + name + "\" is empty or contains '='");
      }
      texts_.emplace_back(name).append(1, '=').append(value);
    }
    for (const std::string& both : texts_) {
      pointers_.push_back(c_string(both, what));
    }
  }
  CPairs(const CPairs&) = delete;
  CPairs& operator=(const CPairs&) = delete;

  [[nodiscard]] const char* const* data() const noexcept { return pointers_.empty() ? nullptr : pointers_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return pointers_.size(); }

 private:
  std::vector<std::string> texts_;
  std::vector<const char*> pointers_;
};

/// What RunOptions and ExecOptions say of the command, in the form of C; borrows from them.
class CCommand {
 public:
  template <typename Options>
  explicit CCommand(const Options& from) : env_(from.env, "env") {
    for (const std::string& argument : from.command.argv()) {
      argv_.push_back(c_string(argument, "an argument of the command"));
    }
  }

  template <typename Options, typename COptions>
  void fill(const Options& from, COptions& to) const {
    if (from.command.shell_line()) {
      to.command = c_string(*from.command.shell_line(), "command");
    }
    to.argv = argv_.empty() ? nullptr : argv_.data();
    to.argc = argv_.size();
    to.env = env_.data();
    to.env_count = env_.size();
    to.cwd = c_string_or_null(from.cwd, "cwd");
    to.user = c_string_or_null(from.user, "user");
    to.stdin_data = from.stdin_data.empty() ? nullptr : from.stdin_data.data();
    to.stdin_size = from.stdin_data.size();
    to.stdin_mode = from.stdin_stream ? PYRO_STDIN_STREAM : PYRO_STDIN_DATA;
    to.pty = from.pty ? 1 : 0;
    to.pty_rows = from.pty_rows;
    to.pty_columns = from.pty_columns;
    to.timeout_seconds = from.timeout_seconds.count();
    to.output_limit_bytes = from.output_limit_bytes;
  }

 private:
  std::vector<const char*> argv_;
  CPairs env_;
};

/// RunOptions in the form of C; borrows from them.
class CRunOptions {
 public:
  explicit CRunOptions(const RunOptions& from) : command_(from) {
    to_.struct_size = static_cast<std::uint32_t>(sizeof to_);
    to_.environment = c_string(from.environment, "environment");
    command_.fill(from, to_);
    to_.engine = static_cast<std::uint32_t>(from.engine);
    to_.vcpu_count = from.vcpu_count;
    to_.mem_mib = from.mem_mib;
    to_.disk_mib = from.disk_mib;
    to_.network = from.network ? 1 : 0;
    to_.boot_timeout_seconds = from.boot_timeout_seconds.count();
    to_.max_lifetime_seconds = from.max_lifetime_seconds.count();
  }
  CRunOptions(const CRunOptions&) = delete;
  CRunOptions& operator=(const CRunOptions&) = delete;

  [[nodiscard]] const pyro_run_options* get() const noexcept { return &to_; }

 private:
  CCommand command_;
  pyro_run_options to_{};
};

}  // namespace detail

// ------------------------------------------------------------------ Pyro --------------------------

/// How much a Pyro remembers for next_log().
enum class LogLevel : std::uint32_t {
  off = PYRO_LOG_OFF,
  error = PYRO_LOG_ERROR,
  warning = PYRO_LOG_WARNING,
  info = PYRO_LOG_INFO,
  debug = PYRO_LOG_DEBUG
};

/// One remembered log line.
struct LogRecord {
  LogLevel level = LogLevel::off;
  std::chrono::system_clock::time_point time{};
  /// The part of the library that speaks, such as "client".
  std::string room{};
  std::string message{};
};

struct OpenOptions {
  /// Where state is kept. Default: $PYRO_HOME, else $XDG_DATA_HOME/pyro, else ~/.local/share/pyro.
  std::string home{};
  /// Folder of the helper programs. Default: $PYRO_LIBEXEC, else beside the library, else where it was installed.
  std::string libexec{};
  LogLevel log_level = LogLevel::off;
  // Caps for all VMs of the home folder together; docs/limits.md. 0: the default; UINT64_MAX: no cap.
  /// How many may run at once. Default: $PYRO_MAX_VMS, else 32 for each CPU of the host, at least 64.
  std::uint64_t max_vms = 0;
  /// How much memory of the host they are expected to take. Default: $PYRO_MAX_MEM_MIB, else the host's.
  std::uint64_t max_mem_mib = 0;
  /// How much is kept free on the disk of the home folder. Default: $PYRO_DISK_RESERVE_MIB, else 1024, or less on a small disk.
  std::uint64_t disk_reserve_mib = 0;
  /// How many times as much memory as they are expected to take they may be given: 1 to 1000. Default: $PYRO_MEM_OVERCOMMIT, else 8.
  double mem_overcommit = 0;
  /// A delegated cgroup below which each VM gets one of its own, with an equal share of CPU. Default: $PYRO_CGROUP, else none.
  std::string cgroup{};
};

struct BuildOptions {
  /// Build again even if it is there.
  bool force = false;
};

struct InspectOptions {
  /// Read every file and compare its digest.
  bool verify = false;
};

struct PruneOptions {
  /// Only this environment. Default: all.
  std::string name{};
  /// Also the environments themselves, not only what none of them needs.
  bool all = false;
};

/// A place to run VMs from: settings and a home folder. Costs no process, no thread and no VM; the
/// home folder is created when first needed. Several may exist side by side. Operations that are
/// under way outlive it.
class Pyro {
 public:
  /// Throws Error: invalid, limit. Since 0.1.
  Pyro() : Pyro(OpenOptions{}) {}
  explicit Pyro(const OpenOptions& options) {
    pyro_open_options c_options{};
    c_options.struct_size = static_cast<std::uint32_t>(sizeof c_options);
    c_options.home = detail::c_string_or_null(options.home, "home");
    c_options.libexec = detail::c_string_or_null(options.libexec, "libexec");
    c_options.log_level = static_cast<std::uint32_t>(options.log_level);
    c_options.max_vms = options.max_vms;
    c_options.max_mem_mib = options.max_mem_mib;
    c_options.disk_reserve_mib = options.disk_reserve_mib;
    c_options.mem_overcommit = options.mem_overcommit;
    c_options.cgroup = detail::c_string_or_null(options.cgroup, "cgroup");
    pyro_context* context = nullptr;
    detail::ErrorSlot error;
    error.check(pyro_open(&c_options, &context, error.out()));
    context_.reset(context);
  }

  /// Runs one command in one new VM and waits for its end. To be able to stop it, see
  /// start_run_in_vm(). Throws Error: all but exists and state. Since 0.1.
  [[nodiscard]] Result run_in_vm(const RunOptions& options) const {
    const detail::CRunOptions c_options(options);
    pyro_result* raw = nullptr;
    detail::ErrorSlot error;
    error.check(pyro_run_in_vm(context_.get(), c_options.get(), &raw, error.out()));
    const std::unique_ptr<pyro_result, ResultDeleter> owned(raw);
    return detail::make_result(*owned);
  }

  /// Starts running one command in one new VM; the operation gives its output as it comes, and takes
  /// input and signals. Throws Error: invalid, forked, unsupported, limit, internal; everything
  /// later comes from the operation. Since 0.1.
  [[nodiscard]] RunOperation start_run_in_vm(const RunOptions& options) const {
    const detail::CRunOptions c_options(options);
    pyro_op* op = nullptr;
    detail::ErrorSlot error;
    error.check(pyro_run_in_vm_start(context_.get(), c_options.get(), &op, error.out()));
    return RunOperation(op, options.output_limit_bytes);
  }

  // Tasks: VMs that stay, with a /workspace of their own. Any process of the same user and home finds a task by its id.
  // All throw Error: invalid, forked, not_found, state (what() says the state and what to do), limit, timeout, internal;
  // those that start a VM also unsupported, environment, boot, not_started. The start_... forms give an operation instead
  // of waiting; ending one early never ends a task, unless it is the one that is being created.

  /// Makes a task and starts its VM; it runs when this returns. Since 0.1.
  [[nodiscard]] TaskInfo create_task(const TaskOptions& options, const ProgressHandler& on_progress = {}) const {
    return one(start_create_task(options).wait(on_progress));
  }
  [[nodiscard]] TaskOperation start_create_task(const TaskOptions& options) const {
    return start_create(pyro_task_create_start, options);
  }

  /// Runs a command in a running task and waits for its end. Also throws Error: not_started, outcome_unknown. Since 0.1.
  [[nodiscard]] Result exec_task(const std::string& task_id, const ExecOptions& options) const {
    const detail::CCommand command(options);
    const pyro_exec_options c_options = exec_options(task_id, options, command);
    pyro_result* raw = nullptr;
    detail::ErrorSlot error;
    error.check(pyro_task_exec(context_.get(), &c_options, &raw, error.out()));
    const std::unique_ptr<pyro_result, ResultDeleter> owned(raw);
    return detail::make_result(*owned);
  }
  /// The same as an operation; several may run at once. Since 0.1.
  [[nodiscard]] ExecOperation start_exec_task(const std::string& task_id, const ExecOptions& options) const {
    return start_exec(task_id, options, false);
  }
  /// Starts a command that nobody waits for, and gives its number for logs_task(). Since 0.1.
  [[nodiscard]] std::uint64_t exec_task_detached(const std::string& task_id, const ExecOptions& options) const {
    ExecOperation operation = start_exec_task_detached(task_id, options);
    while (operation.next() != nullptr) {
    }
    return operation.command_number();
  }
  [[nodiscard]] ExecOperation start_exec_task_detached(const std::string& task_id, const ExecOptions& options) const {
    return start_exec(task_id, options, true);
  }

  /// Attaches to a command that somebody started in a task, and waits for its end. Any number may at once, and all are
  /// equal; what was printed before comes first, as far as AttachOptions::tail_bytes says, and nothing is lost or told
  /// twice. One that has ended is told of in the same way. Also throws Error: not_found (no such command),
  /// outcome_unknown. Since 0.1.
  [[nodiscard]] Result attach_task(const std::string& task_id, const AttachOptions& options) const {
    if (options.stdin_stream) {
      throw Error(ErrorCode::invalid, "stdin_stream is not for the blocking call: use start_attach_task()");
    }
    return start_attach_task(task_id, options).wait();
  }
  /// The same as an operation: its end, or cancel(), detaches, and the command goes on. Since 0.1.
  [[nodiscard]] ExecOperation start_attach_task(const std::string& task_id, const AttachOptions& options) const {
    pyro_attach_options c_options{};
    c_options.struct_size = static_cast<std::uint32_t>(sizeof c_options);
    c_options.task_id = detail::c_string(task_id, "task_id");
    c_options.command_number = options.command_number;
    c_options.stdin_mode = options.stdin_stream ? PYRO_STDIN_STREAM : PYRO_STDIN_DATA;
    c_options.pty_rows = options.pty_rows;
    c_options.pty_columns = options.pty_columns;
    c_options.tail_bytes = options.tail_bytes;
    c_options.output_limit_bytes = options.output_limit_bytes;
    return ExecOperation(start_op(pyro_task_attach_start, &c_options), options.output_limit_bytes);
  }

  /// What it does now, with all that is known of it. Since 0.1.
  [[nodiscard]] TaskInfo status_task(const std::string& task_id) const {
    return one(start_status_task(task_id).wait());
  }
  [[nodiscard]] TaskOperation start_status_task(const std::string& task_id) const {
    return start_by_id(pyro_task_status_start, task_id);
  }

  /// All tasks, newest first. Asks no supervisor. Since 0.1.
  [[nodiscard]] TaskList list_tasks(const TaskFilter& filter = {}) const { return start_list_tasks(filter).wait(); }
  [[nodiscard]] TaskOperation start_list_tasks(const TaskFilter& filter = {}) const {
    return start_list(pyro_task_list_start, filter);
  }

  /// Its commands with what they printed, while they run or long after. Since 0.1.
  [[nodiscard]] CommandList logs_task(const std::string& task_id, const LogsOptions& options = {}) const {
    if (options.mode != LogsMode::list) {
      throw Error(ErrorCode::invalid, "logs_task() gives a list: use start_logs_task() for another mode");
    }
    return start_logs_task(task_id, options).wait();
  }
  [[nodiscard]] LogsOperation start_logs_task(const std::string& task_id, const LogsOptions& options = {}) const {
    pyro_logs_options c_options{};
    c_options.struct_size = static_cast<std::uint32_t>(sizeof c_options);
    c_options.task_id = detail::c_string(task_id, "task_id");
    c_options.mode = static_cast<std::uint32_t>(options.mode);
    c_options.command_number = options.command_number;
    c_options.command_limit = options.command_limit;
    c_options.output_limit_bytes = options.output_limit_bytes;
    return LogsOperation(start_op(pyro_task_logs_start, &c_options));
  }

  /// Powers its VM off: commands that run are ended, its memory is freed, its disk and journal stay. Since 0.1.
  TaskInfo stop_task(const std::string& task_id) const { return one(start_stop_task(task_id).wait()); }
  [[nodiscard]] TaskOperation start_stop_task(const std::string& task_id) const {
    return start_by_id(pyro_task_stop_start, task_id);
  }

  /// Starts a VM for it again, on its disk. Since 0.1.
  TaskInfo start_task(const std::string& task_id, const ProgressHandler& on_progress = {}) const {
    return one(start_start_task(task_id).wait(on_progress));
  }
  [[nodiscard]] TaskOperation start_start_task(const std::string& task_id) const {
    return start_by_id(pyro_task_start_start, task_id);
  }

  /// Changes how long it goes on unused, for now and for later starts; the time begins anew. Since 0.1.
  TaskInfo set_task_ttl(const std::string& task_id, Seconds ttl) const {
    return one(start_set_task_ttl(task_id, ttl).wait());
  }
  [[nodiscard]] TaskOperation start_set_task_ttl(const std::string& task_id, Seconds ttl) const {
    pyro_task_query query{};
    query.struct_size = static_cast<std::uint32_t>(sizeof query);
    query.task_id = detail::c_string(task_id, "task_id");
    query.ttl_seconds = ttl.count();
    return TaskOperation(start_op(pyro_task_set_ttl_start, &query));
  }

  /// Kills its VM and removes its disk and journal. False: there was none. Since 0.1.
  bool delete_task(const std::string& task_id) const { return !start_delete_task(task_id).wait().tasks.empty(); }
  [[nodiscard]] TaskOperation start_delete_task(const std::string& task_id) const {
    return start_by_id(pyro_task_delete_start, task_id);
  }

  /// Deletes what has outlived its retention, and left-overs of creations that were cut off; gives the deleted ones.
  /// Creating a task does it as well. Since 0.1.
  TaskList reap_expired() const { return start_reap_expired().wait(); }
  [[nodiscard]] TaskOperation start_reap_expired() const {
    pyro_op* op = nullptr;
    detail::ErrorSlot error;
    error.check(pyro_reap_expired_start(context_.get(), &op, error.out()));
    return TaskOperation(op);
  }

  // Files of a running task, without a command. Paths are bytes; a relative one counts from /workspace, and all are
  // resolved in the guest. All throw Error: what calls about tasks throw; not_found, exists and state for the path, which
  // what() names; limit, timeout. The start_... forms give an operation instead of waiting.

  /// The content of a regular file. Uses: offset, max_bytes. Since 0.1.
  [[nodiscard]] FileResult read_file(const std::string& task_id, const std::string& path,
                                     FileOptions options = {}) const {
    options.max_bytes = options.max_bytes == 0 ? kDefaultReadBytes : options.max_bytes;
    return start_read_file(task_id, path, options).wait();
  }
  [[nodiscard]] FileOperation start_read_file(const std::string& task_id, const std::string& path,
                                              const FileOptions& options = {}) const {
    return start_file(pyro_file_read_start, {task_id, path}, options);
  }

  /// Puts a file at `path`, in place of one that is there: at once and whole, or not at all. Uses: parents, exclusive,
  /// mode. Since 0.1.
  FileResult write_file(const std::string& task_id, const std::string& path, std::string_view data,
                        const FileOptions& options = {}) const {
    return start_file(pyro_file_write_start, {task_id, path, {}, data}, options).wait();
  }
  /// The same with content from FileOperation::write_stdin(). Since 0.1.
  [[nodiscard]] FileOperation start_write_file(const std::string& task_id, const std::string& path,
                                               const FileOptions& options = {}) const {
    return start_file(pyro_file_write_start, {task_id, path, {}, {}, true}, options);
  }

  /// What is in a directory. Uses: recursive, max_entries. Since 0.1.
  [[nodiscard]] FileResult list_files(const std::string& task_id, const std::string& path = "/workspace",
                                      const FileOptions& options = {}) const {
    return start_list_files(task_id, path, options).wait();
  }
  [[nodiscard]] FileOperation start_list_files(const std::string& task_id, const std::string& path = "/workspace",
                                               const FileOptions& options = {}) const {
    return start_file(pyro_file_list_start, {task_id, path}, options);
  }

  /// One path. Since 0.1.
  [[nodiscard]] FileInfo stat_file(const std::string& task_id, const std::string& path,
                                   const FileOptions& options = {}) const {
    return start_stat_file(task_id, path, options).wait().files.at(0);
  }
  [[nodiscard]] FileOperation start_stat_file(const std::string& task_id, const std::string& path,
                                              const FileOptions& options = {}) const {
    return start_file(pyro_file_stat_start, {task_id, path}, options);
  }

  /// Makes a directory. Uses: parents (then one that is there is fine), mode. Since 0.1.
  FileResult make_dir(const std::string& task_id, const std::string& path, const FileOptions& options = {}) const {
    return start_make_dir(task_id, path, options).wait();
  }
  [[nodiscard]] FileOperation start_make_dir(const std::string& task_id, const std::string& path,
                                             const FileOptions& options = {}) const {
    return start_file(pyro_file_make_dir_start, {task_id, path}, options);
  }

  /// Removes a file, a symbolic link or an empty directory. Uses: recursive. Since 0.1.
  FileResult remove_file(const std::string& task_id, const std::string& path, const FileOptions& options = {}) const {
    return start_remove_file(task_id, path, options).wait();
  }
  [[nodiscard]] FileOperation start_remove_file(const std::string& task_id, const std::string& path,
                                                const FileOptions& options = {}) const {
    return start_file(pyro_file_remove_start, {task_id, path}, options);
  }

  /// Copies into the guest: a directory's content into the directory `path`, or a file, which becomes `path` or goes into
  /// it if it is a directory. Links are copied, never followed. Uses: tar, parents, max_bytes, max_entries,
  /// max_path_bytes. Since 0.1.
  FileResult upload(const std::string& task_id, const std::string& local_path, const std::string& path,
                    const FileOptions& options = {}, const ProgressHandler& on_progress = {}) const {
    return start_upload(task_id, local_path, path, options).wait(on_progress);
  }
  [[nodiscard]] FileOperation start_upload(const std::string& task_id, const std::string& local_path,
                                           const std::string& path, const FileOptions& options = {}) const {
    return start_file(pyro_file_upload_start, {task_id, path, local_path}, options);
  }
  /// The same of a tar stream from FileOperation::write_stdin(). Since 0.1.
  [[nodiscard]] FileOperation start_upload_tar(const std::string& task_id, const std::string& path,
                                               const FileOptions& options = {}) const {
    return start_file(pyro_file_upload_start, {task_id, path, {}, {}, true}, options);
  }

  /// Copies out of the guest, the other way round. Nothing is written outside local_path, whatever the guest sends; links
  /// are made as they are, so do not follow those that you do not trust. Uses: tar, max_bytes, max_entries,
  /// max_path_bytes. Since 0.1.
  FileResult download(const std::string& task_id, const std::string& path, const std::string& local_path,
                      const FileOptions& options = {}, const ProgressHandler& on_progress = {}) const {
    return start_download(task_id, path, local_path, options).wait(on_progress);
  }
  /// An empty local_path: the tar stream comes in events. Since 0.1.
  [[nodiscard]] FileOperation start_download(const std::string& task_id, const std::string& path,
                                             const std::string& local_path, const FileOptions& options = {}) const {
    return start_file(pyro_file_download_start, {task_id, path, local_path}, options);
  }

  /// What was added, changed and removed in /workspace since the task was made. Uses: max_entries. Since 0.1.
  [[nodiscard]] FileResult diff_task(const std::string& task_id, const FileOptions& options = {}) const {
    return start_diff_task(task_id, options).wait();
  }
  [[nodiscard]] FileOperation start_diff_task(const std::string& task_id, const FileOptions& options = {}) const {
    return start_file(pyro_file_diff_start, {task_id}, options);
  }

  /// The whole /workspace as one tar file, in a reproducible order. Uses: max_bytes, max_entries, max_path_bytes.
  /// Since 0.1.
  FileResult export_task(const std::string& task_id, const std::string& local_path, const FileOptions& options = {},
                         const ProgressHandler& on_progress = {}) const {
    return start_export_task(task_id, local_path, options).wait(on_progress);
  }
  /// An empty local_path: the tar comes in events. Since 0.1.
  [[nodiscard]] FileOperation start_export_task(const std::string& task_id, const std::string& local_path,
                                                const FileOptions& options = {}) const {
    return start_file(pyro_file_export_start, {task_id, {}, local_path}, options);
  }

  /// Makes the index that lists are answered from again, from the folders of the tasks; gives all tasks and VMs. Since 0.1.
  TaskList rebuild_registry() const { return start_rebuild_registry().wait(); }
  [[nodiscard]] TaskOperation start_rebuild_registry() const {
    pyro_op* op = nullptr;
    detail::ErrorSlot error;
    error.check(pyro_registry_rebuild_start(context_.get(), &op, error.out()));
    return TaskOperation(op);
  }

  // The life cycle of a VM step by step: made, started, used once, gone. As with tasks, except that exec_vm() removes it.
  // Tasks and VMs are two sets: neither's calls find the other's.

  /// Makes a VM, without starting it. Since 0.1.
  [[nodiscard]] VmInfo create_vm(const TaskOptions& options) const { return one(start_create_vm(options).wait()); }
  [[nodiscard]] TaskOperation start_create_vm(const TaskOptions& options) const {
    return start_create(pyro_vm_create_start, options);
  }

  /// Starts one; it runs when this returns. Since 0.1.
  VmInfo start_vm(const std::string& vm_id, const ProgressHandler& on_progress = {}) const {
    return one(start_start_vm(vm_id).wait(on_progress));
  }
  [[nodiscard]] TaskOperation start_start_vm(const std::string& vm_id) const {
    return start_by_id(pyro_vm_start_start, vm_id);
  }

  /// Runs one command in a running VM, and removes the VM when that has ended. Since 0.1.
  [[nodiscard]] Result exec_vm(const std::string& vm_id, const ExecOptions& options) const {
    const detail::CCommand command(options);
    const pyro_exec_options c_options = exec_options(vm_id, options, command);
    pyro_result* raw = nullptr;
    detail::ErrorSlot error;
    error.check(pyro_vm_exec(context_.get(), &c_options, &raw, error.out()));
    const std::unique_ptr<pyro_result, ResultDeleter> owned(raw);
    return detail::make_result(*owned);
  }
  [[nodiscard]] ExecOperation start_exec_vm(const std::string& vm_id, const ExecOptions& options) const {
    const detail::CCommand command(options);
    const pyro_exec_options c_options = exec_options(vm_id, options, command);
    return ExecOperation(start_op(pyro_vm_exec_start, &c_options), options.output_limit_bytes);
  }

  /// What it does now. Since 0.1.
  [[nodiscard]] VmInfo status_vm(const std::string& vm_id) const { return one(start_status_vm(vm_id).wait()); }
  [[nodiscard]] TaskOperation start_status_vm(const std::string& vm_id) const {
    return start_by_id(pyro_vm_status_start, vm_id);
  }

  /// All VMs, newest first. Since 0.1.
  [[nodiscard]] TaskList list_vms(const TaskFilter& filter = {}) const { return start_list_vms(filter).wait(); }
  [[nodiscard]] TaskOperation start_list_vms(const TaskFilter& filter = {}) const {
    return start_list(pyro_vm_list_all_start, filter);
  }

  /// Powers it off; its disk stays until it is deleted. Since 0.1.
  VmInfo stop_vm(const std::string& vm_id) const { return one(start_stop_vm(vm_id).wait()); }
  [[nodiscard]] TaskOperation start_stop_vm(const std::string& vm_id) const {
    return start_by_id(pyro_vm_stop_start, vm_id);
  }

  /// Kills it and removes its files. False: there was none. Since 0.1.
  bool delete_vm(const std::string& vm_id) const { return !start_delete_vm(vm_id).wait().tasks.empty(); }
  [[nodiscard]] TaskOperation start_delete_vm(const std::string& vm_id) const {
    return start_by_id(pyro_vm_delete_start, vm_id);
  }

  // Environments. Any number of processes may call any of these at once; an environment is built by
  // exactly one of them, the others wait for it. All throw Error: invalid, forked, not_found,
  // unsupported (a tool is missing: what() says the package), limit, environment, cancelled,
  // internal. The start_... forms give an operation with progress events instead of waiting.

  /// All environments: those that are here and those of the catalogue. Since 0.1.
  [[nodiscard]] EnvironmentList list_environments() const { return start_list_environments().wait(); }
  [[nodiscard]] EnvironmentOperation start_list_environments() const {
    return start_environment(pyro_env_list_start, {}, {}, {});
  }

  /// Builds an environment of the catalogue, unless it is there. Since 0.1.
  EnvironmentList build_environment(const std::string& name, BuildOptions options = {},
                                    const ProgressHandler& on_progress = {}) const {
    return start_build_environment(name, options).wait(on_progress);
  }
  [[nodiscard]] EnvironmentOperation start_build_environment(const std::string& name, BuildOptions options = {}) const {
    return start_environment(pyro_env_build_start, name, {}, {.force = options.force});
  }

  /// One environment; `json` has its manifest. Since 0.1.
  [[nodiscard]] EnvironmentList inspect_environment(const std::string& name, InspectOptions options = {},
                                                    const ProgressHandler& on_progress = {}) const {
    return start_inspect_environment(name, options).wait(on_progress);
  }
  [[nodiscard]] EnvironmentOperation start_inspect_environment(const std::string& name,
                                                               InspectOptions options = {}) const {
    return start_environment(pyro_env_inspect_start, name, {}, {.verify = options.verify});
  }

  /// Registers a root filesystem (directory or tarball), or a bundle that export_environment() wrote,
  /// under a name. Also throws Error: exists. Since 0.1.
  EnvironmentList import_environment(const std::string& name, const std::string& path,
                                     const ProgressHandler& on_progress = {}) const {
    return start_import_environment(name, path).wait(on_progress);
  }
  [[nodiscard]] EnvironmentOperation start_import_environment(const std::string& name, const std::string& path) const {
    return start_environment(pyro_env_import_start, name, path, {});
  }

  /// Writes an environment (kernel, initramfs, image, manifest) to one file. Also throws Error:
  /// exists. Since 0.1.
  EnvironmentList export_environment(const std::string& name, const std::string& path,
                                     const ProgressHandler& on_progress = {}) const {
    return start_export_environment(name, path).wait(on_progress);
  }
  [[nodiscard]] EnvironmentOperation start_export_environment(const std::string& name, const std::string& path) const {
    return start_environment(pyro_env_export_start, name, path, {});
  }

  /// Removes what nothing needs: left-overs of interrupted builds and files of no environment. Since 0.1.
  EnvironmentList prune_environments(const PruneOptions& options = {}, const ProgressHandler& on_progress = {}) const {
    return start_prune_environments(options).wait(on_progress);
  }
  [[nodiscard]] EnvironmentOperation start_prune_environments(const PruneOptions& options = {}) const {
    return start_environment(pyro_env_prune_start, options.name, {}, {.all = options.all});
  }

  /// Fetches an environment from a registry. Not built yet: throws Error unsupported. Since 0.1.
  EnvironmentList pull_environment(const std::string& name, const ProgressHandler& on_progress = {}) const {
    return start_pull_environment(name).wait(on_progress);
  }
  [[nodiscard]] EnvironmentOperation start_pull_environment(const std::string& name) const {
    return start_environment(pyro_env_pull_start, name, {}, {});
  }

  /// Checks what this host can do and why Engine::automatic picks what it picks. Runs no command
  /// (pyro_doctor() says what it measures). A host that can do little is a report, not an error. Throws Error: invalid,
  /// forked, limit, internal. Since 0.1.
  [[nodiscard]] DoctorReport doctor() const { return start_doctor().wait(); }
  [[nodiscard]] DoctorOperation start_doctor() const {
    pyro_op* op = nullptr;
    detail::ErrorSlot error;
    error.check(pyro_doctor_start(context_.get(), &op, error.out()));
    return DoctorOperation(op);
  }

  /// Takes the oldest remembered log line; none if there is none. The newest 1000 are remembered, if
  /// OpenOptions::log_level asks for any. Since 0.1.
  [[nodiscard]] std::optional<LogRecord> next_log() const {
    pyro_log_record raw{};
    raw.struct_size = static_cast<std::uint32_t>(sizeof raw);
    if (pyro_log_next(context_.get(), &raw) != PYRO_OK) {
      return std::nullopt;
    }
    const std::chrono::nanoseconds since_epoch(raw.time_ns);
    return LogRecord{static_cast<LogLevel>(raw.level),
                     std::chrono::system_clock::time_point(
                         std::chrono::duration_cast<std::chrono::system_clock::duration>(since_epoch)),
                     detail::text(raw.room), detail::text(raw.message)};
  }

  /// The handle of the C ABI; borrowed. Since 0.1.
  [[nodiscard]] pyro_context* handle() const noexcept { return context_.get(); }

 private:
  struct ContextDeleter {
    void operator()(pyro_context* context) const noexcept { pyro_close(&context); }
  };
  struct ResultDeleter {
    void operator()(pyro_result* result) const noexcept { pyro_result_destroy(&result); }
  };
  struct EnvironmentFlags {
    bool verify = false;
    bool force = false;
    bool all = false;
  };

  static constexpr std::uint64_t kDefaultReadBytes = std::uint64_t{1} << 20;

  /// What a call about files is about; borrows from the caller.
  struct FilePlace {
    const std::string& task_id;
    std::string path{};
    std::string local_path{};
    std::string_view data{};
    bool takes_input = false;
  };

  [[nodiscard]] FileOperation start_file(decltype(&pyro_file_read_start) start, const FilePlace& place,
                                         const FileOptions& options) const {
    pyro_file_options c_options{};
    c_options.struct_size = static_cast<std::uint32_t>(sizeof c_options);
    c_options.task_id = detail::c_string(place.task_id, "task_id");
    c_options.path = detail::c_string_or_null(place.path, "path");
    c_options.local_path = detail::c_string_or_null(place.local_path, "local_path");
    c_options.data = place.data.empty() ? nullptr : place.data.data();
    c_options.data_size = place.data.size();
    c_options.stdin_mode = place.takes_input ? PYRO_STDIN_STREAM : PYRO_STDIN_DATA;
    c_options.recursive = options.recursive ? 1 : 0;
    c_options.parents = options.parents ? 1 : 0;
    c_options.exclusive = options.exclusive ? 1 : 0;
    c_options.tar = options.tar ? 1 : 0;
    c_options.mode = options.mode;
    c_options.offset = options.offset;
    c_options.max_bytes = options.max_bytes;
    c_options.max_entries = options.max_entries;
    c_options.max_path_bytes = options.max_path_bytes;
    c_options.timeout_seconds = options.timeout_seconds.count();
    c_options.user = detail::c_string_or_null(options.user, "user");
    return FileOperation(start_op(start, &c_options));
  }

  static TaskInfo one(TaskList list) {
    if (list.tasks.empty()) {
      throw Error(ErrorCode::internal, "a call about a task told nothing of it");
    }
    return std::move(list.tasks.front());
  }

  /// Starts an operation by a function of the C ABI.
  template <typename COptions>
  [[nodiscard]] pyro_op* start_op(pyro_status (*start)(pyro_context*, const COptions*, pyro_op**,
                                                       pyro_error**) noexcept,
                                  const COptions* options) const {
    pyro_op* op = nullptr;
    detail::ErrorSlot error;
    error.check(start(context_.get(), options, &op, error.out()));
    return op;
  }

  [[nodiscard]] TaskOperation start_create(decltype(&pyro_task_create_start) start, const TaskOptions& options) const {
    const detail::CPairs labels(options.labels, "labels");
    pyro_task_options c_options{};
    c_options.struct_size = static_cast<std::uint32_t>(sizeof c_options);
    c_options.environment = detail::c_string(options.environment, "environment");
    c_options.engine = static_cast<std::uint32_t>(options.engine);
    c_options.vcpu_count = options.vcpu_count;
    c_options.mem_mib = options.mem_mib;
    c_options.disk_mib = options.disk_mib;
    c_options.network = options.network ? 1 : 0;
    c_options.labels = labels.data();
    c_options.label_count = labels.size();
    c_options.boot_timeout_seconds = options.boot_timeout_seconds.count();
    c_options.ttl_seconds = options.ttl_seconds.count();
    c_options.max_lifetime_seconds = options.max_lifetime_seconds.count();
    c_options.retention_seconds = options.retention_seconds.count();
    c_options.seed = detail::c_string_or_null(options.seed, "seed");
    return TaskOperation(start_op(start, &c_options));
  }

  [[nodiscard]] TaskOperation start_list(decltype(&pyro_task_list_start) start, const TaskFilter& filter) const {
    const detail::CPairs labels(filter.labels, "labels");
    pyro_task_query query{};
    query.struct_size = static_cast<std::uint32_t>(sizeof query);
    query.labels = labels.data();
    query.label_count = labels.size();
    for (const TaskState state : filter.states) {
      query.state_mask |= std::uint32_t{1} << static_cast<std::uint32_t>(state);
    }
    return TaskOperation(start_op(start, &query));
  }

  [[nodiscard]] TaskOperation start_by_id(decltype(&pyro_task_status_start) start, const std::string& task_id) const {
    pyro_task_query query{};
    query.struct_size = static_cast<std::uint32_t>(sizeof query);
    query.task_id = detail::c_string(task_id, "task_id");
    return TaskOperation(start_op(start, &query));
  }

  // Borrows from all of them.
  static pyro_exec_options exec_options(const std::string& task_id, const ExecOptions& options,
                                        const detail::CCommand& command) {
    pyro_exec_options c_options{};
    c_options.struct_size = static_cast<std::uint32_t>(sizeof c_options);
    c_options.task_id = detail::c_string(task_id, "task_id");
    command.fill(options, c_options);
    c_options.keep_stdin = options.keep_stdin ? 1 : 0;
    return c_options;
  }

  [[nodiscard]] ExecOperation start_exec(const std::string& task_id, const ExecOptions& options, bool detach) const {
    const detail::CCommand command(options);
    pyro_exec_options c_options = exec_options(task_id, options, command);
    c_options.detach = detach ? 1 : 0;
    return ExecOperation(start_op(pyro_task_exec_start, &c_options), options.output_limit_bytes);
  }

  [[nodiscard]] EnvironmentOperation start_environment(decltype(&pyro_env_list_start) start, const std::string& name,
                                                       const std::string& path, EnvironmentFlags flags) const {
    pyro_env_options options{};
    options.struct_size = static_cast<std::uint32_t>(sizeof options);
    options.name = detail::c_string_or_null(name, "name");
    options.path = detail::c_string_or_null(path, "path");
    options.verify = flags.verify ? 1 : 0;
    options.force = flags.force ? 1 : 0;
    options.all = flags.all ? 1 : 0;
    pyro_op* op = nullptr;
    detail::ErrorSlot error;
    error.check(start(context_.get(), &options, &op, error.out()));
    return EnvironmentOperation(op);
  }

  std::unique_ptr<pyro_context, ContextDeleter> context_;
};

}  // namespace pyro
