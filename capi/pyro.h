/*
 * pyro.h - the C ABI of libpyro: run commands that nobody has read in microVMs.
 *
 * C99, usable from C++. These are the only symbols that libpyro.so exports. The header-only C++ API
 * (pyro/pyro.hpp), the Python package and the pyro program are written on this file alone.
 *
 * Conventions
 *   Naming     pyro_<object>_<verb>. Sizes and times carry their unit in their name.
 *   Results    Every call that can fail returns a pyro_status; it alone decides. The optional last
 *              argument `pyro_error **error` is set only on failure, to an object that the caller owns
 *              and ends with pyro_error_destroy(); pass NULL if you do not want it.
 *   Options    An option struct starts with struct_size, set by its PYRO_..._INIT macro or its
 *              pyro_..._init() function. Zero and NULL mean the default. Structs grow only at their
 *              end: a smaller struct of an older program is accepted, a larger one of a newer program
 *              is accepted only if what this library does not know is zero.
 *   Ownership  "owned": end it with the destroy function named. "borrowed": valid until when it says.
 *              Every pyro_..._destroy(&handle) and pyro_close(&handle) accepts NULL and a handle that
 *              is NULL already, and leaves NULL behind.
 *   Strings    NUL-terminated. Commands, arguments and variables are bytes without an encoding;
 *              names, messages and JSON are UTF-8.
 *   Threads    Any thread may call any function. One pyro_context may be used by several threads at
 *              once. One pyro_op must be used by one thread at a time, with one exception:
 *              pyro_op_cancel() may be called from any thread while another waits in pyro_op_next().
 *   Processes  The library makes no threads, installs no signal handlers, changes no disposition,
 *              working directory, umask or locale, writes nothing to stdout or stderr and never ends
 *              the process. All its descriptors are close-on-exec. In a forked child every handle of
 *              the parent answers PYRO_ERROR_FORKED; a new pyro_open() works there.
 *
 * Licensed under the Apache License, Version 2.0.
 */
#ifndef PYRO_H
#define PYRO_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#error "libpyro runs on Linux"
#endif

#if defined(PYRO_BUILD)
#define PYRO_API __attribute__((visibility("default")))
#else
#define PYRO_API
#endif

#ifdef __cplusplus
#define PYRO_NOEXCEPT noexcept
extern "C" {
#else
#define PYRO_NOEXCEPT
#endif

/* ---------------------------------------------------------------- version ---------------------- */

/** Version of the header that a program was compiled with: major * 1000000 + minor * 1000 + patch. */
#define PYRO_VERSION_NUMBER 1000
#define PYRO_VERSION_STRING "0.1.0"

/** Version of the library that is running, in the form of PYRO_VERSION_NUMBER. Since 0.1. */
PYRO_API uint32_t pyro_version_number(void) PYRO_NOEXCEPT;

/** Version of the library that is running, as text such as "0.1.0". Static. Since 0.1. */
PYRO_API const char *pyro_version_string(void) PYRO_NOEXCEPT;

/**
 * Whether this build of the library has a feature: 1 yes, 0 no (also for a name it does not know).
 * Known names: "engine.software", "engine.kvm", "pty", "env.build", "env.pull", "network", "tasks", "files".
 * Says what was built, not what this host can do: that is pyro_doctor(). Since 0.1.
 */
PYRO_API int32_t pyro_feature(const char *name) PYRO_NOEXCEPT;

/* ---------------------------------------------------------------- status and errors ------------ */

/**
 * What became of a call. Values are grouped by what a caller can do about them; a value never
 * changes its meaning. Values below 100 are not errors.
 */
typedef enum pyro_status {
  /** Done. */
  PYRO_OK = 0,
  /** Nothing to report yet: the time given has passed, or pyro_op_next() says why it came back early. Ask again. */
  PYRO_AGAIN = 1,
  /** The operation has ended and its last event was handed out. */
  PYRO_END = 2,

  /** Invalid use: an argument is missing, out of range or makes no sense. Mend the call. */
  PYRO_ERROR_INVALID = 100,
  /** The handle was made before fork() and belongs to the parent process. Open a new one. */
  PYRO_ERROR_FORKED = 101,
  /** What was named does not exist. */
  PYRO_ERROR_NOT_FOUND = 200,
  /** What was to be made exists already. */
  PYRO_ERROR_EXISTS = 300,
  /** It exists, but not in a state that allows this. */
  PYRO_ERROR_STATE = 301,
  /** This host, or this build, cannot do it; the message says what is missing. */
  PYRO_ERROR_UNSUPPORTED = 400,
  /** A limit was reached, or memory, disk, descriptors or processes ran out. */
  PYRO_ERROR_LIMIT = 500,
  /** The environment (kernel, image, manifest) is broken, or could not be built. */
  PYRO_ERROR_ENVIRONMENT = 600,
  /** The guest did not start; pyro_error_console() has its last words. */
  PYRO_ERROR_BOOT = 700,
  /** The VM was lost before the command was started: it had no effect, running it again is safe. */
  PYRO_ERROR_NOT_STARTED = 800,
  /** The VM was lost after the command was started: what it did is unknown. */
  PYRO_ERROR_OUTCOME_UNKNOWN = 801,
  /** An operation (not a command: that is a result) took longer than it may. */
  PYRO_ERROR_TIMEOUT = 900,
  /** pyro_op_cancel() ended the operation. */
  PYRO_ERROR_CANCELLED = 901,
  /** A defect of the library. */
  PYRO_ERROR_INTERNAL = 1000,

  PYRO_STATUS_FORCE_32BIT = 0x7fffffff
} pyro_status;

/** Short lower-case name of a status, such as "not_found". Static, never NULL. Since 0.1. */
PYRO_API const char *pyro_status_name(pyro_status status) PYRO_NOEXCEPT;

/** Why a call failed. Immutable; may be read by any thread. */
typedef struct pyro_error pyro_error;

/** The status that the failed call returned. NULL gives PYRO_OK. Since 0.1. */
PYRO_API pyro_status pyro_error_code(const pyro_error *error) PYRO_NOEXCEPT;

/** What failed, on what, why, what to do next: one or two lines. Borrowed from `error`. Since 0.1. */
PYRO_API const char *pyro_error_message(const pyro_error *error) PYRO_NOEXCEPT;

/** The last lines of the guest's console, or "" if the guest had no part in it. Borrowed from `error`. Since 0.1. */
PYRO_API const char *pyro_error_console(const pyro_error *error) PYRO_NOEXCEPT;

/** Ends *error and sets it to NULL. Since 0.1. */
PYRO_API void pyro_error_destroy(pyro_error **error) PYRO_NOEXCEPT;

/* ---------------------------------------------------------------- context ---------------------- */

/** What runs a VM. */
typedef enum pyro_engine {
  /** The best that this host has: KVM if it is accelerated, else software. */
  PYRO_ENGINE_AUTO = 0,
  /** libpyro's own monitor on an accelerated /dev/kvm, or PYRO_ERROR_UNSUPPORTED. */
  PYRO_ENGINE_KVM = 1,
  /** Emulation by QEMU (TCG). Works everywhere; slower, and a weaker boundary: see the threat model. */
  PYRO_ENGINE_SOFTWARE = 2,

  PYRO_ENGINE_FORCE_32BIT = 0x7fffffff
} pyro_engine;

/** How much a context remembers for pyro_log_next(). */
typedef enum pyro_log_level {
  PYRO_LOG_OFF = 0,
  PYRO_LOG_ERROR = 1,
  PYRO_LOG_WARNING = 2,
  PYRO_LOG_INFO = 3,
  PYRO_LOG_DEBUG = 4,

  PYRO_LOG_LEVEL_FORCE_32BIT = 0x7fffffff
} pyro_log_level;

/** Options of pyro_open(). */
typedef struct pyro_open_options {
  uint32_t struct_size;
  /** pyro_log_level of what is remembered. Default: off. */
  uint32_t log_level;
  /** Where state is kept. Default: $PYRO_HOME, else $XDG_DATA_HOME/pyro, else ~/.local/share/pyro. */
  const char *home;
  /** Folder of the helper programs pyro-vm and pyro-image. Default: $PYRO_LIBEXEC, else beside the library, else where it was installed. */
  const char *libexec;
  /** This and the next three are caps for all VMs of the home folder together, one-shots included: what would go beyond one is refused with LIMIT before anything is started. UINT64_MAX: no cap; in the variables "none". docs/limits.md says how memory is counted. How many VMs may run at once. Default: $PYRO_MAX_VMS, else 32 for each CPU of the host, at least 64. */
  uint64_t max_vms;
  /** How much memory of the host they are expected to take. Default: $PYRO_MAX_MEM_MIB, else the host's, or what this process's cgroups allow. */
  uint64_t max_mem_mib;
  /** How much is kept free on the disk that the home folder is on. Default: $PYRO_DISK_RESERVE_MIB, else 1024 or a fiftieth of that disk, whatever is less. */
  uint64_t disk_reserve_mib;
  /** How many times as much memory as VMs are expected to take they may be given as mem_mib: 1 to 1000. Default: $PYRO_MEM_OVERCOMMIT, else 8. */
  double mem_overcommit;
  /** A cgroup (version 2) that is delegated to this process and has no processes in it: the directory. Each VM is then in one of its own below that, pyro-<id>, all with an equal share of CPU; docs/limits.md. One that cannot be used fails each start with INVALID or UNSUPPORTED. Default: $PYRO_CGROUP, else none: VMs share CPUs as other processes do. */
  const char *cgroup;
} pyro_open_options;

#define PYRO_OPEN_OPTIONS_INIT {(uint32_t)sizeof(pyro_open_options), 0, NULL, NULL, 0, 0, 0, 0.0, NULL}

/** Zeroes `size` bytes at `options` and sets struct_size: the INIT macro for languages without one. Since 0.1. */
PYRO_API void pyro_open_options_init(pyro_open_options *options, size_t size) PYRO_NOEXCEPT;

/** A place to run VMs from: settings and a home folder. Costs no process, no thread and no VM. */
typedef struct pyro_context pyro_context;

/**
 * Opens a context. `options` may be NULL. The home folder is created when first needed. On success
 * *context is owned: pyro_close(). Several contexts may be open side by side.
 * Errors: INVALID, UNSUPPORTED (an option that this version does not know), LIMIT. Since 0.1.
 */
PYRO_API pyro_status pyro_open(const pyro_open_options *options, pyro_context **context, pyro_error **error) PYRO_NOEXCEPT;

/** Closes *context and sets it to NULL. Operations that are under way go on and are still ended by pyro_op_destroy(). Since 0.1. */
PYRO_API void pyro_close(pyro_context **context) PYRO_NOEXCEPT;

/** One remembered log line. Strings are borrowed until the same thread's next pyro_log_next() on the same context, and until pyro_close(). */
typedef struct pyro_log_record {
  uint32_t struct_size;
  /** pyro_log_level. */
  uint32_t level;
  /** Nanoseconds since 1970-01-01 UTC. */
  int64_t time_ns;
  /** The part of the library that speaks, such as "client". */
  const char *room;
  const char *message;
} pyro_log_record;

/**
 * Takes the oldest remembered log line. PYRO_OK: `record` is filled; PYRO_END: there is none. The
 * newest 1000 lines are remembered. Threads that call this at once get different lines, each its own.
 * Set record->struct_size first: without it no line is taken. Errors: INVALID, FORKED. Since 0.1.
 */
PYRO_API pyro_status pyro_log_next(pyro_context *context, pyro_log_record *record) PYRO_NOEXCEPT;

/* ---------------------------------------------------------------- operations ------------------- */

/**
 * Something under way. Every call that may wait exists twice: pyro_X() waits; pyro_X_start() gives an
 * operation that any event loop can drive: wait until pyro_op_fd() is readable, then call
 * pyro_op_next(op, 0, ...) until it says PYRO_AGAIN.
 */
typedef struct pyro_op pyro_op;

typedef enum pyro_event_kind {
  PYRO_EVENT_NONE = 0,
  /** Something took a step: stage, message, done, total. */
  PYRO_EVENT_PROGRESS = 1,
  /** The command runs now: vm_id. */
  PYRO_EVENT_STARTED = 2,
  /** Bytes from the command: data, size. */
  PYRO_EVENT_STDOUT = 3,
  PYRO_EVENT_STDERR = 4,
  /** Last event of an operation that runs a command: result. */
  PYRO_EVENT_EXIT = 5,
  /** Last event of an operation that failed: error. */
  PYRO_EVENT_ERROR = 6,
  /** Last event of an operation that runs no command: environments, doctor, vms, commands or files, by what was started. */
  PYRO_EVENT_DONE = 7,

  PYRO_EVENT_KIND_FORCE_32BIT = 0x7fffffff
} pyro_event_kind;

/** How the VM that ran a command came to be. */
typedef enum pyro_start_kind {
  PYRO_START_COLD = 0,
  PYRO_START_TEMPLATE = 1,
  PYRO_START_RUNNING = 2,

  PYRO_START_KIND_FORCE_32BIT = 0x7fffffff
} pyro_start_kind;

/** What a command did. A command that fails is a result, not an error. */
typedef struct pyro_result {
  uint32_t struct_size;
  /** The command's exit code; 124 if timed_out; 128 + N if signal N killed it; 126 or 127 if it could not be executed or found. */
  int32_t exit_code;
  /** The signal that ended the command, else 0. */
  int32_t term_signal;
  /** 1: timeout_seconds passed and the whole process tree was killed. */
  int32_t timed_out;
  /** 1: the guest ran out of memory and its kernel killed a process of the command. */
  int32_t oom_killed;
  /** 1: more was printed than output_limit_bytes; the rest was counted and dropped. */
  int32_t stdout_truncated;
  int32_t stderr_truncated;
  /** pyro_engine: which one ran it; never AUTO. */
  uint32_t engine;
  /** pyro_start_kind. */
  uint32_t start_kind;
  uint32_t reserved;
  /** What was kept: stdout_size bytes, and a NUL behind them. In events of a streamed operation NULL: the bytes came as events. */
  const char *stdout_data;
  size_t stdout_size;
  const char *stderr_data;
  size_t stderr_size;
  /** How much the command printed in all. */
  uint64_t stdout_total_bytes;
  uint64_t stderr_total_bytes;
  /** From the command's start in the guest to its end. */
  uint64_t duration_ms;
  /** From the call to the command's start in the guest. */
  uint64_t startup_ms;
  /** CPU time of the command's process tree; 0 if not known. */
  uint64_t cpu_time_ms;
  /** Peak memory of the command's process tree; 0 if not known. */
  uint64_t memory_peak_bytes;
  /** Number of the command in its task; 0 in a one-shot VM. */
  uint64_t command_number;
  /** Id of the VM; never NULL. */
  const char *vm_id;
  /** Id of the task, or "" in a one-shot VM. */
  const char *task_id;
} pyro_result;

/** Ends a result that a blocking call gave, and sets *result to NULL. Since 0.1. */
PYRO_API void pyro_result_destroy(pyro_result **result) PYRO_NOEXCEPT;

/** One environment. Strings are borrowed from what holds it. */
typedef struct pyro_environment {
  uint32_t struct_size;
  /** 1: its files are here; 0: it is in the catalogue and will be built on first use, or it is damaged: description says why. */
  int32_t available;
  const char *name;
  /** One line for people. */
  const char *description;
  /** "sha256:..." of the manifest; "" if not available. */
  const char *digest;
  /** Version of the guest kernel; "" if not available. */
  const char *kernel_version;
  /** Size on disk; 0 if not available. */
  uint64_t size_bytes;
  /** Seconds since 1970-01-01 UTC when it was built or imported; 0 if not available. */
  int64_t created_at;
} pyro_environment;

/** What an environment operation gives. */
typedef struct pyro_environment_list {
  uint32_t struct_size;
  uint32_t reserved;
  /** Each by its own pointer: its struct_size may be that of a newer library. */
  const pyro_environment *const *items;
  size_t count;
  /** The same and more (packages, files, what prune freed) as one JSON object. */
  const char *json;
} pyro_environment_list;

/** Ends a list that a blocking call gave, and sets *list to NULL. Since 0.1. */
PYRO_API void pyro_environment_list_destroy(pyro_environment_list **list) PYRO_NOEXCEPT;

/** Outcome of one check of pyro_doctor(). */
typedef enum pyro_check_status {
  PYRO_CHECK_OK = 0,
  /** Works, but not as well as it could. */
  PYRO_CHECK_WARNING = 1,
  /** Does not work until the remedy is applied. */
  PYRO_CHECK_FAILED = 2,

  PYRO_CHECK_STATUS_FORCE_32BIT = 0x7fffffff
} pyro_check_status;

typedef struct pyro_check {
  uint32_t struct_size;
  /** pyro_check_status. */
  uint32_t status;
  /** Stable id, such as "kvm" or "qemu". */
  const char *name;
  /** What was found. */
  const char *message;
  /** What to do; "" if nothing. */
  const char *remedy;
} pyro_check;

/** What /dev/kvm is worth on this host. */
typedef enum pyro_kvm_state {
  PYRO_KVM_ABSENT = 0,
  PYRO_KVM_NO_PERMISSION = 1,
  /** It opens, but guest kernels are emulated, too slow to use; or it could not be measured. */
  PYRO_KVM_EMULATING = 2,
  PYRO_KVM_ACCELERATED = 3,

  PYRO_KVM_STATE_FORCE_32BIT = 0x7fffffff
} pyro_kvm_state;

typedef struct pyro_doctor_report {
  uint32_t struct_size;
  /** pyro_engine that engine=auto picks now; AUTO if none works. */
  uint32_t engine;
  /** pyro_kvm_state. */
  uint32_t kvm_state;
  /** 1: no check failed. */
  int32_t healthy;
  /** Each by its own pointer: its struct_size may be that of a newer library. */
  const pyro_check *const *checks;
  size_t check_count;
  /** The same as one JSON object. */
  const char *json;
} pyro_doctor_report;

/** Ends a report that pyro_doctor() gave, and sets *report to NULL. Since 0.1. */
PYRO_API void pyro_doctor_report_destroy(pyro_doctor_report **report) PYRO_NOEXCEPT;

/** What a VM that outlives its client is doing. */
typedef enum pyro_vm_state {
  /** Never started. */
  PYRO_VM_CREATED = 0,
  /** It boots, or another process works on it. */
  PYRO_VM_STARTING = 1,
  /** It takes commands. */
  PYRO_VM_RUNNING = 2,
  /** Not built yet. */
  PYRO_VM_PAUSED = 3,
  /** It was stopped, or expired; reason says which. Its disk and journal are kept. */
  PYRO_VM_STOPPED = 4,
  /** It was lost; reason says how. Its disk and journal are kept. */
  PYRO_VM_FAILED = 5,

  PYRO_VM_STATE_FORCE_32BIT = 0x7fffffff
} pyro_vm_state;

/** A task, or a VM of the explicit life cycle. Strings are borrowed from what holds it. */
typedef struct pyro_vm_info {
  uint32_t struct_size;
  /** pyro_vm_state. */
  uint32_t state;
  /** 12 letters and digits. */
  const char *id;
  const char *environment;
  /** Why it is stopped or failed; else "". */
  const char *reason;
  /** "NAME=VALUE" strings: label_count of them. */
  const char *const *labels;
  size_t label_count;
  /** pyro_engine that ran it last; AUTO if none has. */
  uint32_t engine;
  uint32_t vcpu_count;
  uint32_t mem_mib;
  uint32_t disk_mib;
  /** Commands that run now. Only from a status call: the same for uptime_ms, cpu_time_ms and expires_at of a running one. */
  uint32_t running_commands;
  uint32_t reserved;
  /** Commands that were run in it so far. */
  uint64_t command_count;
  /** Seconds since 1970-01-01 UTC; started_at is 0 if it never was. */
  int64_t created_at;
  int64_t started_at;
  /** When it is stopped (running) or deleted (not running) if nobody uses it until then; 0: never, or not known. */
  int64_t expires_at;
  uint64_t uptime_ms;
  /** CPU time of the guest; 0 if not known. */
  uint64_t cpu_time_ms;
  /** What its files take on the host's disk. */
  uint64_t disk_used_bytes;
  /** Of one that runs: what its processes (supervisor and engine, the guest in them) hold of the host's memory besides files: anonymous and shared memory. Pages that VMs share count for each. 0: it does not run, or it cannot be told. */
  uint64_t host_memory_bytes;
  /** Of one that runs: CPU time of these processes since its start. 0 as above. */
  uint64_t host_cpu_time_ms;
} pyro_vm_info;

/** What calls about tasks and VMs give. */
typedef struct pyro_vm_list {
  uint32_t struct_size;
  uint32_t reserved;
  /** Each by its own pointer: its struct_size may be that of a newer library. */
  const pyro_vm_info *const *items;
  size_t count;
  /** The same as one JSON object. */
  const char *json;
} pyro_vm_list;

/** Ends a list that a blocking call gave, and sets *list to NULL. Since 0.1. */
PYRO_API void pyro_vm_list_destroy(pyro_vm_list **list) PYRO_NOEXCEPT;

/** One command in the journal of a task. Pointers are borrowed from what holds it. */
typedef struct pyro_command {
  uint32_t struct_size;
  /** 1: it runs, or its VM was killed before it could say how it ended. */
  int32_t running;
  /** Counts from 1 in each task. */
  uint64_t number;
  /** What was run: argc strings; long ones are cut, and argv_truncated is 1. */
  const char *const *argv;
  size_t argc;
  int32_t argv_truncated;
  int32_t pty;
  const char *cwd;
  const char *user;
  /** Names of the variables that were set: env_count strings. Values are not recorded. */
  const char *const *env_names;
  size_t env_count;
  /** Nanoseconds since 1970-01-01 UTC. */
  int64_t started_at_ns;
  /** The next four as in pyro_result, once it has ended. */
  int32_t exit_code;
  int32_t term_signal;
  int32_t timed_out;
  int32_t oom_killed;
  /** pyro_status: OK, or why it was not started or its outcome is not known; message says it in words. */
  uint32_t status;
  uint32_t reserved;
  const char *message;
  uint64_t duration_ms;
  uint64_t cpu_time_ms;
  uint64_t memory_peak_bytes;
  /** How much it printed in all, as far as known. */
  uint64_t stdout_total_bytes;
  uint64_t stderr_total_bytes;
  /** What the journal kept of it, the last part: NULL unless the call asked for it. A NUL is behind the bytes. */
  const char *stdout_data;
  size_t stdout_size;
  const char *stderr_data;
  size_t stderr_size;
  /** 1: more was printed than is given here. */
  int32_t stdout_truncated;
  int32_t stderr_truncated;
} pyro_command;

/** What pyro_task_logs() gives. */
typedef struct pyro_command_list {
  uint32_t struct_size;
  uint32_t reserved;
  /** By number; each by its own pointer: its struct_size may be that of a newer library. */
  const pyro_command *const *items;
  size_t count;
  /** The same as one JSON object. */
  const char *json;
} pyro_command_list;

/** Ends a list that a blocking call gave, and sets *list to NULL. Since 0.1. */
PYRO_API void pyro_command_list_destroy(pyro_command_list **list) PYRO_NOEXCEPT;

/** What a path in a guest is. */
typedef enum pyro_file_type {
  /** A device, a FIFO, a socket. */
  PYRO_FILE_OTHER = 0,
  PYRO_FILE_REGULAR = 1,
  PYRO_FILE_DIRECTORY = 2,
  PYRO_FILE_SYMLINK = 3,

  PYRO_FILE_TYPE_FORCE_32BIT = 0x7fffffff
} pyro_file_type;

/** What became of a path since the task was made. */
typedef enum pyro_file_change {
  /** Not asked for. */
  PYRO_FILE_NOT_COMPARED = 0,
  PYRO_FILE_ADDED = 1,
  PYRO_FILE_CHANGED = 2,
  PYRO_FILE_REMOVED = 3,

  PYRO_FILE_CHANGE_FORCE_32BIT = 0x7fffffff
} pyro_file_change;

/** One file of a guest. Strings are bytes without an encoding, borrowed from what holds it. */
typedef struct pyro_file_info {
  uint32_t struct_size;
  /** pyro_file_type. A symbolic link is told as one, not as what it leads to. */
  uint32_t type;
  /** pyro_file_change. */
  uint32_t change;
  /** Permission bits, 07777. */
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;
  /** Below the directory that was asked for; of pyro_file_stat() as it was asked for. */
  const char *path;
  /** Of a symbolic link; else "". */
  const char *target;
  /** Of a regular file; else 0. */
  uint64_t size_bytes;
  /** Nanoseconds since 1970-01-01 UTC. */
  int64_t mtime_ns;
} pyro_file_info;

/** What calls about files give. */
typedef struct pyro_file_result {
  uint32_t struct_size;
  /** 1: there was more than max_bytes (read) or max_entries (list, diff). */
  int32_t truncated;
  /** stat, list, diff: in the order of their names, byte by byte; each by its own pointer: its struct_size may be that of a newer library. */
  const pyro_file_info *const *items;
  size_t count;
  /** Blocking read: data_size bytes, and a NUL behind them. Else NULL. */
  const char *data;
  size_t data_size;
  /** read: of the file. */
  uint64_t file_size_bytes;
  /** Files, directories and links that were read, made or removed. */
  uint64_t entry_count;
  /** Of file contents. */
  uint64_t byte_count;
  /** upload, download: devices, FIFOs and sockets, which were left out. */
  uint64_t skipped_count;
  /** upload, download: files that changed while they were read: they have the size that they had when that began. */
  uint64_t changed_count;
  /** The same as one JSON object. A name that is not UTF-8 has U+FFFD for what is not, and its bytes as base64 in path_base64. */
  const char *json;
} pyro_file_result;

/** Ends a result that a blocking call gave, and sets *result to NULL. Since 0.1. */
PYRO_API void pyro_file_result_destroy(pyro_file_result **result) PYRO_NOEXCEPT;

/** One step of an operation. Which fields count depends on kind; the others are 0 or NULL. All pointers are borrowed until the next pyro_op_next() or pyro_op_destroy(). */
typedef struct pyro_event {
  uint32_t struct_size;
  /** pyro_event_kind. */
  uint32_t kind;
  const void *data;
  size_t size;
  /** Stable id of the stage, such as "build", "boot". */
  const char *stage;
  /** The step in words. */
  const char *message;
  /** Steps or bytes done, and in all; total is 0 where it is not known. */
  uint64_t done;
  uint64_t total;
  const char *vm_id;
  const pyro_result *result;
  const pyro_error *error;
  const pyro_environment_list *environments;
  const pyro_doctor_report *doctor;
  const pyro_vm_list *vms;
  const pyro_command_list *commands;
  /** STARTED: number of the command in its task, 0 in a one-shot VM. STDOUT, STDERR of pyro_task_logs_start(): the command that printed it. */
  uint64_t command_number;
  const pyro_file_result *files;
  /** STARTED: 1: the command has a terminal. */
  uint32_t pty;
  /** STARTED: 1: what is written with pyro_op_write_stdin() reaches the command. */
  uint32_t stdin_open;
} pyro_event;

#define PYRO_EVENT_INIT {(uint32_t)sizeof(pyro_event), 0, NULL, 0, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, 0}

/** A descriptor that is readable while pyro_op_next() may have something to do. It is constant, level-triggered, may wake for nothing, and belongs to the operation: poll it, do not read or close it. -1 for NULL or in a forked child. Since 0.1. */
PYRO_API int pyro_op_fd(const pyro_op *op) PYRO_NOEXCEPT;

/**
 * Takes the next event, waiting up to timeout_ms for it (0: not at all, -1: as long as it takes).
 * Set event->struct_size first (PYRO_EVENT_INIT). A caller that does not take events makes the
 * command wait once 256 KiB of its output are under way; the VM and its limits go on.
 * PYRO_OK: `event` is filled. PYRO_END: the last event was taken before. PYRO_AGAIN: nothing yet;
 * it comes before the time is over when a signal handler of the host has run, and when there is room
 * again for input that pyro_op_write_stdin() did not take: write the rest then.
 * A failed operation is an event of kind ERROR, not a status here. Errors: INVALID, FORKED. Since 0.1.
 */
PYRO_API pyro_status pyro_op_next(pyro_op *op, int64_t timeout_ms, pyro_event *event, pyro_error **error) PYRO_NOEXCEPT;

/**
 * Hands bytes to the command's standard input; never waits. *accepted says how many were taken,
 * possibly 0. If not all were: try the rest again whenever pyro_op_next() has returned, with an event
 * or without; it returns PYRO_AGAIN when there is room, and pyro_op_fd() wakes for that.
 * Needs PYRO_STDIN_STREAM. Errors: INVALID, STATE (input closed, or the command has ended). Since 0.1.
 */
PYRO_API pyro_status pyro_op_write_stdin(pyro_op *op, const void *data, size_t size, size_t *accepted, pyro_error **error) PYRO_NOEXCEPT;

/** Ends the command's standard input after what was accepted. Errors: as pyro_op_write_stdin(). Since 0.1. */
PYRO_API pyro_status pyro_op_close_stdin(pyro_op *op, pyro_error **error) PYRO_NOEXCEPT;

/** Sends a signal (1 to 64, Linux numbers) to the command; with a terminal, to its foreground job. Before the command has started up to 16 are kept and sent then; more are STATE. Errors: INVALID, STATE. Since 0.1. */
PYRO_API pyro_status pyro_op_signal(pyro_op *op, int32_t signal_number, pyro_error **error) PYRO_NOEXCEPT;

/** Changes the size of the command's terminal (1 to 65535 each). Errors: INVALID, STATE. Since 0.1. */
PYRO_API pyro_status pyro_op_resize(pyro_op *op, uint32_t rows, uint32_t columns, pyro_error **error) PYRO_NOEXCEPT;

/** Ends the operation: a one-shot VM is destroyed, a build stops. The last event becomes an ERROR with CANCELLED unless it was there already. Callable from any thread; does not wait. Since 0.1. */
PYRO_API pyro_status pyro_op_cancel(pyro_op *op, pyro_error **error) PYRO_NOEXCEPT;

/** Ends *op and everything it started, waiting for that (at most about two seconds), and sets it to NULL. In a forked child it frees memory only and leaves the parent's VM alone. Since 0.1. */
PYRO_API void pyro_op_destroy(pyro_op **op) PYRO_NOEXCEPT;

/* ---------------------------------------------------------------- run a command ---------------- */

/** As a timeout: none. */
#define PYRO_NO_TIMEOUT (-1.0)

/** Where a command's standard input comes from. */
typedef enum pyro_stdin_mode {
  /** stdin_data, then end of file. */
  PYRO_STDIN_DATA = 0,
  /** pyro_op_write_stdin() and pyro_op_close_stdin(). Not for the blocking call. */
  PYRO_STDIN_STREAM = 1,

  PYRO_STDIN_MODE_FORCE_32BIT = 0x7fffffff
} pyro_stdin_mode;

/** What to run, where, and within which limits. All pointers are borrowed for the call only. */
typedef struct pyro_run_options {
  uint32_t struct_size;
  /** pyro_engine. PYRO_ENGINE_AUTO takes the environment variable PYRO_ENGINE into account; an explicit choice is never weakened. */
  uint32_t engine;
  /** Name of the environment, such as "debian:12". Required. */
  const char *environment;
  /** A shell command line, run as /bin/sh -c. Exactly one of command and argv is required. */
  const char *command;
  /** Program and arguments, executed as they are: argc strings. */
  const char *const *argv;
  size_t argc;
  /** "NAME=value" strings, set on top of the environment's own variables: env_count strings. */
  const char *const *env;
  size_t env_count;
  /** Working directory in the guest. Default: /workspace. */
  const char *cwd;
  /** User name or number in the guest. Default: root. */
  const char *user;
  /** Standard input with PYRO_STDIN_DATA: stdin_size bytes. Default: empty. */
  const void *stdin_data;
  size_t stdin_size;
  /** pyro_stdin_mode. */
  uint32_t stdin_mode;
  /** 1: run on a pseudo terminal; its output comes as stdout. */
  uint32_t pty;
  /** Size of the terminal. Default: 24 x 80. */
  uint32_t pty_rows;
  uint32_t pty_columns;
  /** 1 to 16. Default: 1. */
  uint32_t vcpu_count;
  /** Memory of the guest, 128 to 65536. Default: 1024. */
  uint32_t mem_mib;
  /** Scratch disk (what the command writes anywhere), 64 to 1048576. Default: 2048. */
  uint32_t disk_mib;
  /** 1: a network. Not built yet: PYRO_ERROR_UNSUPPORTED. Default: none. */
  uint32_t network;
  /** How long the command may run, from its start in the guest: 0.001 to 31536000, or PYRO_NO_TIMEOUT. Default: 30. */
  double timeout_seconds;
  /** How long the VM may take to start: 0.001 to 86400. Default: 60. */
  double boot_timeout_seconds;
  /** How long the VM may live in all: 0.001 to 31536000. Default: no limit. */
  double max_lifetime_seconds;
  /** How much of each stream a result keeps. Default: 1 MiB. UINT64_MAX: all. */
  uint64_t output_limit_bytes;
} pyro_run_options;

#define PYRO_RUN_OPTIONS_INIT \
  {(uint32_t)sizeof(pyro_run_options), 0, NULL, NULL, NULL, 0, NULL, 0, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0}

/** Zeroes `size` bytes at `options` and sets struct_size. Since 0.1. */
PYRO_API void pyro_run_options_init(pyro_run_options *options, size_t size) PYRO_NOEXCEPT;

/**
 * Starts running one command in one new VM. Events: PROGRESS*, STARTED, (STDOUT | STDERR)*, then EXIT;
 * or ERROR at any point. The VM is gone when the operation is destroyed, when the calling process
 * ends, however it ends, and once the command has ended.
 * On success *op is owned: pyro_op_destroy().
 * Errors here: INVALID, FORKED, UNSUPPORTED, LIMIT, INTERNAL; everything later comes as an event. Since 0.1.
 */
PYRO_API pyro_status pyro_run_in_vm_start(pyro_context *context, const pyro_run_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/**
 * Runs one command in one new VM and waits for its end. On success *result is owned:
 * pyro_result_destroy(). An environment that is not there yet is built first.
 * Errors: all but EXISTS and STATE. Since 0.1.
 */
PYRO_API pyro_status pyro_run_in_vm(pyro_context *context, const pyro_run_options *options, pyro_result **result, pyro_error **error) PYRO_NOEXCEPT;

/* ---------------------------------------------------------------- tasks ------------------------ */

/*
 * A task is a VM that stays: it runs on when the process that created it has gone, and any process of the
 * same user and home folder finds it by its id. Its /workspace, and whatever else its commands wrote, is on a
 * disk of its own that outlives the VM; its journal tells what was run, what that printed and how it ended.
 * docs/tasks.md says what survives what.
 *
 * Errors of all calls: INVALID (also: no id), FORKED, NOT_FOUND, STATE (the message says the state and what to
 * do), LIMIT, TIMEOUT (its supervisor does not answer), INTERNAL; of those that start a VM also
 * UNSUPPORTED, ENVIRONMENT, BOOT, NOT_STARTED. Each blocking call gives something owned. Each start call gives
 * an operation whose last event is DONE, or ERROR; of pyro_task_exec_start() it is EXIT, or ERROR. Ending an
 * operation early never ends a task, unless it is the one that is being created.
 */

/** What a task is to be. All pointers are borrowed for the call only. */
typedef struct pyro_task_options {
  uint32_t struct_size;
  /** As in pyro_run_options, with the same ranges and defaults; the next four as well. */
  uint32_t engine;
  const char *environment;
  uint32_t vcpu_count;
  uint32_t mem_mib;
  /** The disk of the task: everything that commands write, and all that they may. */
  uint32_t disk_mib;
  uint32_t network;
  /** "NAME=VALUE" strings to find it by: label_count of them, at most 64. */
  const char *const *labels;
  size_t label_count;
  /** How long the VM may take to start: 0.001 to 86400. Default: 60. */
  double boot_timeout_seconds;
  /** How long it goes on with no client connected and no command running: 0.001 to 31536000, or PYRO_NO_TIMEOUT. Default: 600. Then it is stopped. */
  double ttl_seconds;
  /** How long its VM may run from a start on: 0.001 to 31536000. Default: no limit. Then it is stopped. */
  double max_lifetime_seconds;
  /** How long it is kept once it is stopped or has failed: 0.001 to 31536000, or PYRO_NO_TIMEOUT. Default: 7 days. Then it is deleted. */
  double retention_seconds;
  /** A directory of this host whose content is copied into /workspace, or an uncompressed tar file: as pyro_file_upload() does, before this returns. It is the state that pyro_file_diff() compares with. Default: an empty workspace. Not of VMs. */
  const char *seed;
} pyro_task_options;

#define PYRO_TASK_OPTIONS_INIT {(uint32_t)sizeof(pyro_task_options), 0, NULL, 0, 0, 0, 0, NULL, 0, 0.0, 0.0, 0.0, 0.0, NULL}

/** Zeroes `size` bytes at `options` and sets struct_size. Since 0.1. */
PYRO_API void pyro_task_options_init(pyro_task_options *options, size_t size) PYRO_NOEXCEPT;

/** Which task a call is about; which fields count is said at each. */
typedef struct pyro_task_query {
  uint32_t struct_size;
  uint32_t reserved;
  /** Its id; all but list. */
  const char *task_id;
  /** list: only those that have all of these "NAME=VALUE" labels: label_count strings. */
  const char *const *labels;
  size_t label_count;
  /** list: only those in one of these states: the sum of 1 << pyro_vm_state. Default: all. */
  uint32_t state_mask;
  uint32_t reserved2;
  /** set_ttl: as in pyro_task_options. */
  double ttl_seconds;
} pyro_task_query;

#define PYRO_TASK_QUERY_INIT {(uint32_t)sizeof(pyro_task_query), 0, NULL, NULL, 0, 0, 0, 0.0}

/** Zeroes `size` bytes at `query` and sets struct_size. Since 0.1. */
PYRO_API void pyro_task_query_init(pyro_task_query *query, size_t size) PYRO_NOEXCEPT;

/** What to run in a task. All pointers are borrowed for the call only. */
typedef struct pyro_exec_options {
  uint32_t struct_size;
  /** 1: do not wait for the command: the last event is DONE with `commands`, which has its number. */
  uint32_t detach;
  const char *task_id;
  /** The rest as in pyro_run_options. */
  const char *command;
  const char *const *argv;
  size_t argc;
  const char *const *env;
  size_t env_count;
  const char *cwd;
  const char *user;
  const void *stdin_data;
  size_t stdin_size;
  uint32_t stdin_mode;
  uint32_t pty;
  uint32_t pty_rows;
  uint32_t pty_columns;
  double timeout_seconds;
  uint64_t output_limit_bytes;
  /** 1: its input stays open when its client goes, for those who attach later (pyro_task_attach_start()). With a terminal that is always so. */
  uint32_t keep_stdin;
  uint32_t reserved;
} pyro_exec_options;

#define PYRO_EXEC_OPTIONS_INIT \
  {(uint32_t)sizeof(pyro_exec_options), 0, NULL, NULL, NULL, 0, NULL, 0, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0.0, 0, 0, 0}

/** Zeroes `size` bytes at `options` and sets struct_size. Since 0.1. */
PYRO_API void pyro_exec_options_init(pyro_exec_options *options, size_t size) PYRO_NOEXCEPT;

/** Which command to attach to. All pointers are borrowed for the call only. */
typedef struct pyro_attach_options {
  uint32_t struct_size;
  /** pyro_stdin_mode: DATA (the default) leaves the command's input alone, STREAM takes part in it. */
  uint32_t stdin_mode;
  const char *task_id;
  /** Of the command in its task, from 1 on. */
  uint64_t command_number;
  /** Size that the command's terminal gets, 1 to 65535 each; then the program in it is asked to redraw. Default: as it is. */
  uint32_t pty_rows;
  uint32_t pty_columns;
  /** How much of what it printed before is told, the last part, both streams together. Default: 64 KiB. UINT64_MAX: all that is kept. */
  uint64_t tail_bytes;
  /** As in pyro_run_options. */
  uint64_t output_limit_bytes;
} pyro_attach_options;

#define PYRO_ATTACH_OPTIONS_INIT {(uint32_t)sizeof(pyro_attach_options), 0, NULL, 0, 0, 0, 0, 0}

/** Zeroes `size` bytes at `options` and sets struct_size. Since 0.1. */
PYRO_API void pyro_attach_options_init(pyro_attach_options *options, size_t size) PYRO_NOEXCEPT;

/** How pyro_task_logs_start() tells what commands printed. */
typedef enum pyro_logs_mode {
  /** In the list that ends it. */
  PYRO_LOGS_LIST = 0,
  /** As STDOUT and STDERR events in the order of printing: all that there is now. */
  PYRO_LOGS_STREAM = 1,
  /** The same, and what is still to come: until the command asked for has ended, or the task does not run. */
  PYRO_LOGS_FOLLOW = 2,

  PYRO_LOGS_MODE_FORCE_32BIT = 0x7fffffff
} pyro_logs_mode;

/** What to tell of a task's journal. */
typedef struct pyro_logs_options {
  uint32_t struct_size;
  /** pyro_logs_mode. The blocking call knows LIST only. */
  uint32_t mode;
  const char *task_id;
  /** Only this command. Default: the newest ones. */
  uint64_t command_number;
  /** How many of the newest commands. Default: 1000. UINT64_MAX: all. */
  uint64_t command_limit;
  /** LIST: how much of each stream of each command, the last part. Default: 1 MiB. UINT64_MAX: all that is kept. */
  uint64_t output_limit_bytes;
} pyro_logs_options;

#define PYRO_LOGS_OPTIONS_INIT {(uint32_t)sizeof(pyro_logs_options), 0, NULL, 0, 0, 0}

/** Zeroes `size` bytes at `options` and sets struct_size. Since 0.1. */
PYRO_API void pyro_logs_options_init(pyro_logs_options *options, size_t size) PYRO_NOEXCEPT;

/** Makes a task and starts its VM; it runs when this returns, and has an id. An environment that is not there yet is built first. */
PYRO_API pyro_status pyro_task_create(pyro_context *context, const pyro_task_options *options, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_task_create_start(pyro_context *context, const pyro_task_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/**
 * Runs a command in a running task. Several may run at once. When the client goes, or ends the operation, the
 * command goes on. Its input is closed then, unless it has a terminal, keep_stdin says otherwise, or somebody who is
 * attached may write to it. *result is owned: pyro_result_destroy(). Also NOT_STARTED and OUTCOME_UNKNOWN.
 */
PYRO_API pyro_status pyro_task_exec(pyro_context *context, const pyro_exec_options *options, pyro_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_task_exec_start(pyro_context *context, const pyro_exec_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/**
 * Attaches to a command that somebody started in a task, and waits for its end; any number may at once, and all are
 * equal: input goes to the command in the order of its arrival, the last size of the terminal counts, whoever closes the
 * input closes it for all. Events as pyro_task_exec_start(): STARTED, the tail of what it printed, then what it prints,
 * nothing lost or told twice, then EXIT. One that has ended is told of in the same way. pyro_op_cancel() detaches; the
 * command goes on as in pyro_task_exec(). A client that takes no events makes nobody wait: what the journal drops
 * meanwhile (more than 16 MiB behind) is lost to it. A client of pyro_task_exec_start() that makes the command wait for
 * ten seconds while others are attached gets an ERROR (LIMIT), and the command goes on without it.
 * *result is owned: pyro_result_destroy(). Also NOT_FOUND (no such command) and OUTCOME_UNKNOWN. Since 0.1.
 */
PYRO_API pyro_status pyro_task_attach(pyro_context *context, const pyro_attach_options *options, pyro_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_task_attach_start(pyro_context *context, const pyro_attach_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** What it does now, with all that is known of it. */
PYRO_API pyro_status pyro_task_status(pyro_context *context, const pyro_task_query *query, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_task_status_start(pyro_context *context, const pyro_task_query *query, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** All tasks, newest first; `query` may be NULL. Asks no supervisor. */
PYRO_API pyro_status pyro_task_list(pyro_context *context, const pyro_task_query *query, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_task_list_start(pyro_context *context, const pyro_task_query *query, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Its commands, with what they printed. The journal can be read while they run and after the VM is gone. As an operation: (STDOUT | STDERR)* by its mode, then DONE. *list is owned: pyro_command_list_destroy(). */
PYRO_API pyro_status pyro_task_logs(pyro_context *context, const pyro_logs_options *options, pyro_command_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_task_logs_start(pyro_context *context, const pyro_logs_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Powers its VM off: commands that run are ended, its memory is freed, its disk and journal stay. One that does not run stays as it is. */
PYRO_API pyro_status pyro_task_stop(pyro_context *context, const pyro_task_query *query, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_task_stop_start(pyro_context *context, const pyro_task_query *query, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Starts a VM for it again, on its disk. One that runs stays as it is. */
PYRO_API pyro_status pyro_task_start(pyro_context *context, const pyro_task_query *query, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_task_start_start(pyro_context *context, const pyro_task_query *query, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Changes how long it goes on unused, for now and for later starts; the time begins anew. */
PYRO_API pyro_status pyro_task_set_ttl(pyro_context *context, const pyro_task_query *query, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_task_set_ttl_start(pyro_context *context, const pyro_task_query *query, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Kills its VM and removes its disk and journal. One that is not there is no error: the list is empty. */
PYRO_API pyro_status pyro_task_delete(pyro_context *context, const pyro_task_query *query, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_task_delete_start(pyro_context *context, const pyro_task_query *query, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Deletes what has outlived its retention, and left-overs of creations and deletions that were cut off; the list has the deleted ones. Calls that create one do it as well, once a minute at most. */
PYRO_API pyro_status pyro_reap_expired(pyro_context *context, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_reap_expired_start(pyro_context *context, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/* ---------------------------------------------------------------- files of a task -------------- */

/*
 * Files of a running task without a command. Paths are bytes; a relative one counts from /workspace, and all are resolved
 * in the guest, as a command there would see them: never on the host. These calls are no entries of the task's journal;
 * while one is under way the task does not expire. docs/files.md has the rules.
 *
 * Each start call gives an operation: STARTED, (PROGRESS | STDOUT)*, then DONE with `files`, or ERROR. Ending one early
 * ends what it does: a file that is written then is what it was before, a tree keeps what has come.
 *
 * Errors of all: as of all calls about tasks; also NOT_FOUND, EXISTS and STATE for the path, which the message names;
 * LIMIT (max_bytes, max_entries, no space in the guest), NOT_STARTED and OUTCOME_UNKNOWN. Since 0.1.
 */

/** What to do with files of a task; which fields count is said at each call. All pointers are borrowed for the call only. */
typedef struct pyro_file_options {
  uint32_t struct_size;
  /** list: with everything below. remove: a directory with everything in it. */
  uint32_t recursive;
  const char *task_id;
  /** In the guest: 1 to 4095 bytes. */
  const char *path;
  /** upload: what to send: a directory, whose content goes into the directory `path`, or a file, which becomes `path` or goes into it if it is a directory. download, export: where to put it, the other way round. NULL: stdin_mode STREAM, or STDOUT events. */
  const char *local_path;
  /** write: the content: data_size bytes. */
  const void *data;
  size_t data_size;
  /** pyro_stdin_mode. STREAM: write takes the content, upload a tar stream, from pyro_op_write_stdin() until pyro_op_close_stdin(). Not for blocking calls. */
  uint32_t stdin_mode;
  /** upload: local_path is an uncompressed tar file. download: it is to become one. */
  uint32_t tar;
  /** write, make_dir, upload: 1: make missing directories on the way; make_dir: one that is there is fine. */
  uint32_t parents;
  /** write: 1: only if there is none, else EXISTS. */
  uint32_t exclusive;
  /** write, make_dir: permission bits 01 to 0777. Default: those of the file that is replaced, else 0644; of a directory 0755. */
  uint32_t mode;
  /** upload, download, export: the longest path in the tree, 1 to 4095. Default: 4095. */
  uint32_t max_path_bytes;
  /** read: where to start. */
  uint64_t offset;
  /** read: how much at most. Default: 1 MiB; as an operation: all. upload, download, export: of all files together, 1 to 2^60; default: 16 GiB; more is LIMIT. */
  uint64_t max_bytes;
  /** list, diff: how many at most, 1 to 1000000. Default: 1000. upload, download, export: 1 to 100000000; default: 1000000; more is LIMIT. */
  uint64_t max_entries;
  /** How long it may take in the guest: 0.001 to 31536000, or PYRO_NO_TIMEOUT; then TIMEOUT. Default: 60; upload, download and export: no limit. */
  double timeout_seconds;
  /** User name or number in the guest who does it. Default: root. Not for diff. */
  const char *user;
} pyro_file_options;

#define PYRO_FILE_OPTIONS_INIT \
  {(uint32_t)sizeof(pyro_file_options), 0, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, NULL}

/** Zeroes `size` bytes at `options` and sets struct_size. Since 0.1. */
PYRO_API void pyro_file_options_init(pyro_file_options *options, size_t size) PYRO_NOEXCEPT;

/** The content of a regular file; as an operation in STDOUT events. Uses: path, offset, max_bytes. *result is owned, here and below: pyro_file_result_destroy(). */
PYRO_API pyro_status pyro_file_read(pyro_context *context, const pyro_file_options *options, pyro_file_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_file_read_start(pyro_context *context, const pyro_file_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Puts a file at a path, in place of one that is there: at once and whole, or not at all. A symbolic link is followed. Uses: path, data, data_size, stdin_mode, parents, exclusive, mode. */
PYRO_API pyro_status pyro_file_write(pyro_context *context, const pyro_file_options *options, pyro_file_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_file_write_start(pyro_context *context, const pyro_file_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** What is in a directory. Does not go into what is mounted below. Uses: path, recursive, max_entries. */
PYRO_API pyro_status pyro_file_list(pyro_context *context, const pyro_file_options *options, pyro_file_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_file_list_start(pyro_context *context, const pyro_file_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** One path, in `items`. Uses: path. */
PYRO_API pyro_status pyro_file_stat(pyro_context *context, const pyro_file_options *options, pyro_file_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_file_stat_start(pyro_context *context, const pyro_file_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Makes a directory. Uses: path, parents, mode. */
PYRO_API pyro_status pyro_file_make_dir(pyro_context *context, const pyro_file_options *options, pyro_file_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_file_make_dir_start(pyro_context *context, const pyro_file_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Removes a file, a symbolic link (not what it leads to) or an empty directory. Uses: path, recursive. */
PYRO_API pyro_status pyro_file_remove(pyro_context *context, const pyro_file_options *options, pyro_file_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_file_remove_start(pyro_context *context, const pyro_file_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Copies a directory, a file or the content of a tar into the guest. Symbolic links are copied, never followed; permission bits and times to the second are kept, owners and set-id bits are not. Each file appears whole. Uses: path, local_path, tar, stdin_mode, parents, max_bytes, max_entries, max_path_bytes. */
PYRO_API pyro_status pyro_file_upload(pyro_context *context, const pyro_file_options *options, pyro_file_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_file_upload_start(pyro_context *context, const pyro_file_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Copies a directory or a file out of the guest, in the same way, but a directory only to where nothing is, or into an empty directory (EXISTS): whether a directory or a file comes is the guest's word. Nothing is written outside local_path, whatever the guest sends; symbolic links are made as they are, also those that lead elsewhere. Without local_path the tar stream comes in STDOUT events. Uses: path, local_path, tar, max_bytes, max_entries, max_path_bytes. */
PYRO_API pyro_status pyro_file_download(pyro_context *context, const pyro_file_options *options, pyro_file_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_file_download_start(pyro_context *context, const pyro_file_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** What was added, changed and removed in /workspace since the task was made (docs/files.md says what counts). Uses: max_entries. */
PYRO_API pyro_status pyro_file_diff(pyro_context *context, const pyro_file_options *options, pyro_file_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_file_diff_start(pyro_context *context, const pyro_file_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** The whole /workspace as one tar file, local_path, in a reproducible order; without it in STDOUT events. Uses: local_path, max_bytes, max_entries, max_path_bytes. */
PYRO_API pyro_status pyro_file_export(pyro_context *context, const pyro_file_options *options, pyro_file_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_file_export_start(pyro_context *context, const pyro_file_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/* ---------------------------------------------------------------- VMs -------------------------- */

/*
 * The life cycle of a VM step by step, for hosts that need it: made, started, used once, gone. Everything is as with
 * tasks, options, states, journal and errors included, except that pyro_vm_exec() removes the VM, and so does whoever
 * reaps after its TTL or maximum lifetime. Tasks and VMs are two sets: neither's calls find the other's.
 */

/** Makes a VM, without starting it. Since 0.1. */
PYRO_API pyro_status pyro_vm_create(pyro_context *context, const pyro_task_options *options, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_vm_create_start(pyro_context *context, const pyro_task_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Starts one. An environment that is not there yet is built first. Since 0.1. */
PYRO_API pyro_status pyro_vm_start(pyro_context *context, const pyro_task_query *query, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_vm_start_start(pyro_context *context, const pyro_task_query *query, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Runs one command in a running VM, and removes the VM when that has ended; task_id of the options is the VM's. Not detached. Since 0.1. */
PYRO_API pyro_status pyro_vm_exec(pyro_context *context, const pyro_exec_options *options, pyro_result **result, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_vm_exec_start(pyro_context *context, const pyro_exec_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** As pyro_task_status(). Since 0.1. */
PYRO_API pyro_status pyro_vm_status(pyro_context *context, const pyro_task_query *query, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_vm_status_start(pyro_context *context, const pyro_task_query *query, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** As pyro_task_list(), of VMs. Since 0.1. */
PYRO_API pyro_status pyro_vm_list_all(pyro_context *context, const pyro_task_query *query, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_vm_list_all_start(pyro_context *context, const pyro_task_query *query, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** As pyro_task_stop(). Since 0.1. */
PYRO_API pyro_status pyro_vm_stop(pyro_context *context, const pyro_task_query *query, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_vm_stop_start(pyro_context *context, const pyro_task_query *query, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** As pyro_task_delete(). Since 0.1. */
PYRO_API pyro_status pyro_vm_delete(pyro_context *context, const pyro_task_query *query, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_vm_delete_start(pyro_context *context, const pyro_task_query *query, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/* ---------------------------------------------------------------- registry --------------------- */

/*
 * What lists of tasks and VMs are answered from: an index, in registry.db of the home folder. The folders of the tasks
 * are the truth; the library compares both by itself. If the file is damaged, lists answer with STATE, if a newer
 * libpyro made it with UNSUPPORTED; calls about one task or VM work all the same.
 */

/**
 * Makes the registry again from the folders, whatever is in the file; other processes may go on meanwhile. Takes as long
 * as a look at each task. The list has all tasks and VMs. *list is owned: pyro_vm_list_destroy().
 * Errors: INVALID, FORKED, UNSUPPORTED (it is of a newer version: nothing is touched), TIMEOUT (others do not let go of
 * it: try again), LIMIT, INTERNAL. Since 0.1.
 */
PYRO_API pyro_status pyro_registry_rebuild(pyro_context *context, pyro_vm_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_registry_rebuild_start(pyro_context *context, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/* ---------------------------------------------------------------- environments ----------------- */

/** Options of the pyro_env_* calls; which fields count is said at each. */
typedef struct pyro_env_options {
  uint32_t struct_size;
  /** inspect: 1: read every file and compare its digest. */
  uint32_t verify;
  /** build: 1: build again even if it is there. */
  uint32_t force;
  /** prune: 1: also the environments themselves, not only what none of them needs. */
  uint32_t all;
  /** build, inspect, import, export: name of the environment. */
  const char *name;
  /** import: a rootfs directory or tarball, or a bundle that export wrote. export: the file to write. */
  const char *path;
} pyro_env_options;

#define PYRO_ENV_OPTIONS_INIT {(uint32_t)sizeof(pyro_env_options), 0, 0, 0, NULL, NULL}

/** Zeroes `size` bytes at `options` and sets struct_size. Since 0.1. */
PYRO_API void pyro_env_options_init(pyro_env_options *options, size_t size) PYRO_NOEXCEPT;

/*
 * Each blocking call gives a list that is owned: pyro_environment_list_destroy(). Each start call
 * gives an operation whose last event is DONE with `environments`, or ERROR.
 * `options` may be NULL where no field is required. Any number of processes may call any of these at
 * once; an environment is built by exactly one of them, the others wait for it.
 * Errors of all: INVALID, FORKED, NOT_FOUND, UNSUPPORTED (a tool is missing: the message says the
 * package), LIMIT, ENVIRONMENT, CANCELLED, INTERNAL. Since 0.1.
 */

/** All environments: those that are here and those of the catalogue. */
PYRO_API pyro_status pyro_env_list(pyro_context *context, const pyro_env_options *options, pyro_environment_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_env_list_start(pyro_context *context, const pyro_env_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Builds an environment of the catalogue, unless it is there. Uses: name, force. */
PYRO_API pyro_status pyro_env_build(pyro_context *context, const pyro_env_options *options, pyro_environment_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_env_build_start(pyro_context *context, const pyro_env_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** One environment with its manifest. Uses: name, verify. */
PYRO_API pyro_status pyro_env_inspect(pyro_context *context, const pyro_env_options *options, pyro_environment_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_env_inspect_start(pyro_context *context, const pyro_env_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Registers an own root filesystem, or a bundle, under a name. Uses: name, path. Also EXISTS. */
PYRO_API pyro_status pyro_env_import(pyro_context *context, const pyro_env_options *options, pyro_environment_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_env_import_start(pyro_context *context, const pyro_env_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Writes an environment (kernel, initramfs, image, manifest) to one file. Uses: name, path. Also EXISTS. */
PYRO_API pyro_status pyro_env_export(pyro_context *context, const pyro_env_options *options, pyro_environment_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_env_export_start(pyro_context *context, const pyro_env_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Removes what nothing needs: left-overs of interrupted builds and files of no environment. Uses: name (only that environment), all. */
PYRO_API pyro_status pyro_env_prune(pyro_context *context, const pyro_env_options *options, pyro_environment_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_env_prune_start(pyro_context *context, const pyro_env_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/** Fetches an environment from a registry. Not built yet: PYRO_ERROR_UNSUPPORTED. Uses: name. */
PYRO_API pyro_status pyro_env_pull(pyro_context *context, const pyro_env_options *options, pyro_environment_list **list, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_env_pull_start(pyro_context *context, const pyro_env_options *options, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

/* ---------------------------------------------------------------- host check ------------------- */

/**
 * Checks what this host can do and why engine=auto picks what it picks. Runs no command; a helper process
 * times a tiny guest on /dev/kvm, which takes milliseconds, and is ended after five seconds. The outcome is
 * kept until the host reboots or /dev/kvm, the user or the build changes, unless it could not be measured.
 * *report is owned: pyro_doctor_report_destroy(). A host that can do little is a report, not an error.
 * Errors: INVALID, FORKED, LIMIT, INTERNAL. Since 0.1.
 */
PYRO_API pyro_status pyro_doctor(pyro_context *context, pyro_doctor_report **report, pyro_error **error) PYRO_NOEXCEPT;
PYRO_API pyro_status pyro_doctor_start(pyro_context *context, pyro_op **op, pyro_error **error) PYRO_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif /* PYRO_H */
