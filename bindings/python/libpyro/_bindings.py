"""The C ABI of libpyro for ctypes. Generated from capi/pyro.h by generate.py: do not edit."""
from __future__ import annotations

import ctypes
from enum import IntEnum
from typing import Any, Callable, Dict, List, Optional, Tuple

_P = ctypes.POINTER

PYRO_VERSION_NUMBER = 1000
PYRO_VERSION_STRING = "0.1.0"
PYRO_NO_TIMEOUT = -1.0


class Status(IntEnum):
    """What became of a call."""

    #: Done.
    OK = 0
    #: Nothing to report yet: the time given has passed, or pyro_op_next() says why it came back early.
    AGAIN = 1
    #: The operation has ended and its last event was handed out.
    END = 2
    #: Invalid use: an argument is missing, out of range or makes no sense.
    ERROR_INVALID = 100
    #: The handle was made before fork() and belongs to the parent process.
    ERROR_FORKED = 101
    #: What was named does not exist.
    ERROR_NOT_FOUND = 200
    #: What was to be made exists already.
    ERROR_EXISTS = 300
    #: It exists, but not in a state that allows this.
    ERROR_STATE = 301
    #: This host, or this build, cannot do it; the message says what is missing.
    ERROR_UNSUPPORTED = 400
    #: A limit was reached, or memory, disk, descriptors or processes ran out.
    ERROR_LIMIT = 500
    #: The environment (kernel, image, manifest) is broken, or could not be built.
    ERROR_ENVIRONMENT = 600
    #: The guest did not start; pyro_error_console() has its last words.
    ERROR_BOOT = 700
    #: The VM was lost before the command was started: it had no effect, running it again is safe.
    ERROR_NOT_STARTED = 800
    #: The VM was lost after the command was started: what it did is unknown.
    ERROR_OUTCOME_UNKNOWN = 801
    #: An operation (not a command: that is a result) took longer than it may.
    ERROR_TIMEOUT = 900
    #: pyro_op_cancel() ended the operation.
    ERROR_CANCELLED = 901
    #: A defect of the library.
    ERROR_INTERNAL = 1000


class pyro_error(ctypes.Structure):
    """Why a call failed."""


class Engine(IntEnum):
    """What runs a VM."""

    #: The best that this host has.
    AUTO = 0
    #: libpyro's own monitor on an accelerated /dev/kvm, or PYRO_ERROR_UNSUPPORTED.
    KVM = 1
    #: Emulation by QEMU (TCG).
    SOFTWARE = 2


class LogLevel(IntEnum):
    """How much a context remembers for pyro_log_next()."""

    OFF = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    DEBUG = 4


class pyro_open_options(ctypes.Structure):
    """Options of pyro_open()."""

    struct_size: int
    #: pyro_log_level of what is remembered.
    log_level: int
    #: Where state is kept.
    home: Optional[bytes]
    #: Folder of the helper programs pyro-vm and pyro-image.
    libexec: Optional[bytes]
    #: This and the next three are caps for all VMs of the home folder together, one-shots included: what would go
    #: beyond one is refused with LIMIT before anything is started.
    max_vms: int
    #: How much memory of the host they are expected to take.
    max_mem_mib: int
    #: How much is kept free on the disk that the home folder is on.
    disk_reserve_mib: int
    #: How many times as much memory as VMs are expected to take they may be given as mem_mib: 1 to 1000.
    mem_overcommit: float
    #: A cgroup (version 2) that is delegated to this process and has no processes in it: the directory.
    cgroup: Optional[bytes]

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("log_level", ctypes.c_uint32),
        ("home", ctypes.c_char_p),
        ("libexec", ctypes.c_char_p),
        ("max_vms", ctypes.c_uint64),
        ("max_mem_mib", ctypes.c_uint64),
        ("disk_reserve_mib", ctypes.c_uint64),
        ("mem_overcommit", ctypes.c_double),
        ("cgroup", ctypes.c_char_p),
    ]


class pyro_context(ctypes.Structure):
    """A place to run VMs from: settings and a home folder."""


class pyro_log_record(ctypes.Structure):
    """One remembered log line."""

    struct_size: int
    #: pyro_log_level.
    level: int
    #: Nanoseconds since 1970-01-01 UTC.
    time_ns: int
    #: The part of the library that speaks, such as "client".
    room: Optional[bytes]
    message: Optional[bytes]

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("level", ctypes.c_uint32),
        ("time_ns", ctypes.c_int64),
        ("room", ctypes.c_char_p),
        ("message", ctypes.c_char_p),
    ]


class pyro_op(ctypes.Structure):
    """Something under way."""


class EventKind(IntEnum):
    """pyro_event_kind."""

    NONE = 0
    #: Something took a step: stage, message, done, total.
    PROGRESS = 1
    #: The command runs now: vm_id.
    STARTED = 2
    #: Bytes from the command: data, size.
    STDOUT = 3
    STDERR = 4
    #: Last event of an operation that runs a command: result.
    EXIT = 5
    #: Last event of an operation that failed: error.
    ERROR = 6
    #: Last event of an operation that runs no command: environments, doctor, vms, commands or files, by what was
    #: started.
    DONE = 7


class StartKind(IntEnum):
    """How the VM that ran a command came to be."""

    COLD = 0
    TEMPLATE = 1
    RUNNING = 2


class pyro_result(ctypes.Structure):
    """What a command did."""

    struct_size: int
    #: The command's exit code; 124 if timed_out; 128 + N if signal N killed it; 126 or 127 if it could not be executed
    #: or found.
    exit_code: int
    #: The signal that ended the command, else 0.
    term_signal: int
    #: 1: timeout_seconds passed and the whole process tree was killed.
    timed_out: int
    #: 1: the guest ran out of memory and its kernel killed a process of the command.
    oom_killed: int
    #: 1: more was printed than output_limit_bytes; the rest was counted and dropped.
    stdout_truncated: int
    stderr_truncated: int
    #: pyro_engine: which one ran it; never AUTO.
    engine: int
    #: pyro_start_kind.
    start_kind: int
    reserved: int
    #: What was kept: stdout_size bytes, and a NUL behind them.
    stdout_data: Optional[int]
    stdout_size: int
    stderr_data: Optional[int]
    stderr_size: int
    #: How much the command printed in all.
    stdout_total_bytes: int
    stderr_total_bytes: int
    #: From the command's start in the guest to its end.
    duration_ms: int
    #: From the call to the command's start in the guest.
    startup_ms: int
    #: CPU time of the command's process tree; 0 if not known.
    cpu_time_ms: int
    #: Peak memory of the command's process tree; 0 if not known.
    memory_peak_bytes: int
    #: Number of the command in its task; 0 in a one-shot VM.
    command_number: int
    #: Id of the VM; never NULL.
    vm_id: Optional[bytes]
    #: Id of the task, or "" in a one-shot VM.
    task_id: Optional[bytes]

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("exit_code", ctypes.c_int32),
        ("term_signal", ctypes.c_int32),
        ("timed_out", ctypes.c_int32),
        ("oom_killed", ctypes.c_int32),
        ("stdout_truncated", ctypes.c_int32),
        ("stderr_truncated", ctypes.c_int32),
        ("engine", ctypes.c_uint32),
        ("start_kind", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("stdout_data", ctypes.c_void_p),
        ("stdout_size", ctypes.c_size_t),
        ("stderr_data", ctypes.c_void_p),
        ("stderr_size", ctypes.c_size_t),
        ("stdout_total_bytes", ctypes.c_uint64),
        ("stderr_total_bytes", ctypes.c_uint64),
        ("duration_ms", ctypes.c_uint64),
        ("startup_ms", ctypes.c_uint64),
        ("cpu_time_ms", ctypes.c_uint64),
        ("memory_peak_bytes", ctypes.c_uint64),
        ("command_number", ctypes.c_uint64),
        ("vm_id", ctypes.c_char_p),
        ("task_id", ctypes.c_char_p),
    ]


class pyro_environment(ctypes.Structure):
    """One environment."""

    struct_size: int
    #: 1: its files are here; 0: it is in the catalogue and will be built on first use, or it is damaged: description
    #: says why.
    available: int
    name: Optional[bytes]
    #: One line for people.
    description: Optional[bytes]
    #: "sha256:..." of the manifest; "" if not available.
    digest: Optional[bytes]
    #: Version of the guest kernel; "" if not available.
    kernel_version: Optional[bytes]
    #: Size on disk; 0 if not available.
    size_bytes: int
    #: Seconds since 1970-01-01 UTC when it was built or imported; 0 if not available.
    created_at: int

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("available", ctypes.c_int32),
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("digest", ctypes.c_char_p),
        ("kernel_version", ctypes.c_char_p),
        ("size_bytes", ctypes.c_uint64),
        ("created_at", ctypes.c_int64),
    ]


class pyro_environment_list(ctypes.Structure):
    """What an environment operation gives."""

    struct_size: int
    reserved: int
    #: Each by its own pointer: its struct_size may be that of a newer library.
    items: Any
    count: int
    #: The same and more (packages, files, what prune freed) as one JSON object.
    json: Optional[bytes]

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("items", _P(_P(pyro_environment))),
        ("count", ctypes.c_size_t),
        ("json", ctypes.c_char_p),
    ]


class CheckStatus(IntEnum):
    """Outcome of one check of pyro_doctor()."""

    OK = 0
    #: Works, but not as well as it could.
    WARNING = 1
    #: Does not work until the remedy is applied.
    FAILED = 2


class pyro_check(ctypes.Structure):
    """pyro_check."""

    struct_size: int
    #: pyro_check_status.
    status: int
    #: Stable id, such as "kvm" or "qemu".
    name: Optional[bytes]
    #: What was found.
    message: Optional[bytes]
    #: What to do; "" if nothing.
    remedy: Optional[bytes]

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("status", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("message", ctypes.c_char_p),
        ("remedy", ctypes.c_char_p),
    ]


class KvmState(IntEnum):
    """What /dev/kvm is worth on this host."""

    ABSENT = 0
    NO_PERMISSION = 1
    #: It opens, but guest kernels are emulated, too slow to use; or it could not be measured.
    EMULATING = 2
    ACCELERATED = 3


class pyro_doctor_report(ctypes.Structure):
    """pyro_doctor_report."""

    struct_size: int
    #: pyro_engine that engine=auto picks now; AUTO if none works.
    engine: int
    #: pyro_kvm_state.
    kvm_state: int
    #: 1: no check failed.
    healthy: int
    #: Each by its own pointer: its struct_size may be that of a newer library.
    checks: Any
    check_count: int
    #: The same as one JSON object.
    json: Optional[bytes]

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("engine", ctypes.c_uint32),
        ("kvm_state", ctypes.c_uint32),
        ("healthy", ctypes.c_int32),
        ("checks", _P(_P(pyro_check))),
        ("check_count", ctypes.c_size_t),
        ("json", ctypes.c_char_p),
    ]


class VmState(IntEnum):
    """What a VM that outlives its client is doing."""

    #: Never started.
    CREATED = 0
    #: It boots, or another process works on it.
    STARTING = 1
    #: It takes commands.
    RUNNING = 2
    #: Not built yet.
    PAUSED = 3
    #: It was stopped, or expired; reason says which.
    STOPPED = 4
    #: It was lost; reason says how.
    FAILED = 5


class pyro_vm_info(ctypes.Structure):
    """A task, or a VM of the explicit life cycle."""

    struct_size: int
    #: pyro_vm_state.
    state: int
    #: 12 letters and digits.
    id: Optional[bytes]
    environment: Optional[bytes]
    #: Why it is stopped or failed; else "".
    reason: Optional[bytes]
    #: "NAME=VALUE" strings: label_count of them.
    labels: Any
    label_count: int
    #: pyro_engine that ran it last; AUTO if none has.
    engine: int
    vcpu_count: int
    mem_mib: int
    disk_mib: int
    #: Commands that run now.
    running_commands: int
    reserved: int
    #: Commands that were run in it so far.
    command_count: int
    #: Seconds since 1970-01-01 UTC; started_at is 0 if it never was.
    created_at: int
    started_at: int
    #: When it is stopped (running) or deleted (not running) if nobody uses it until then; 0: never, or not known.
    expires_at: int
    uptime_ms: int
    #: CPU time of the guest; 0 if not known.
    cpu_time_ms: int
    #: What its files take on the host's disk.
    disk_used_bytes: int
    #: Of one that runs: what its processes (supervisor and engine, the guest in them) hold of the host's memory besides
    #: files: anonymous and shared memory.
    host_memory_bytes: int
    #: Of one that runs.
    host_cpu_time_ms: int

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("state", ctypes.c_uint32),
        ("id", ctypes.c_char_p),
        ("environment", ctypes.c_char_p),
        ("reason", ctypes.c_char_p),
        ("labels", _P(ctypes.c_char_p)),
        ("label_count", ctypes.c_size_t),
        ("engine", ctypes.c_uint32),
        ("vcpu_count", ctypes.c_uint32),
        ("mem_mib", ctypes.c_uint32),
        ("disk_mib", ctypes.c_uint32),
        ("running_commands", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("command_count", ctypes.c_uint64),
        ("created_at", ctypes.c_int64),
        ("started_at", ctypes.c_int64),
        ("expires_at", ctypes.c_int64),
        ("uptime_ms", ctypes.c_uint64),
        ("cpu_time_ms", ctypes.c_uint64),
        ("disk_used_bytes", ctypes.c_uint64),
        ("host_memory_bytes", ctypes.c_uint64),
        ("host_cpu_time_ms", ctypes.c_uint64),
    ]


class pyro_vm_list(ctypes.Structure):
    """What calls about tasks and VMs give."""

    struct_size: int
    reserved: int
    #: Each by its own pointer: its struct_size may be that of a newer library.
    items: Any
    count: int
    #: The same as one JSON object.
    json: Optional[bytes]

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("items", _P(_P(pyro_vm_info))),
        ("count", ctypes.c_size_t),
        ("json", ctypes.c_char_p),
    ]


class pyro_command(ctypes.Structure):
    """One command in the journal of a task."""

    struct_size: int
    #: 1: it runs, or its VM was killed before it could say how it ended.
    running: int
    #: Counts from 1 in each task.
    number: int
    #: What was run: argc strings; long ones are cut, and argv_truncated is 1.
    argv: Any
    argc: int
    argv_truncated: int
    pty: int
    cwd: Optional[bytes]
    user: Optional[bytes]
    #: Names of the variables that were set: env_count strings.
    env_names: Any
    env_count: int
    #: Nanoseconds since 1970-01-01 UTC.
    started_at_ns: int
    #: The next four as in pyro_result, once it has ended.
    exit_code: int
    term_signal: int
    timed_out: int
    oom_killed: int
    #: pyro_status.
    status: int
    reserved: int
    message: Optional[bytes]
    duration_ms: int
    cpu_time_ms: int
    memory_peak_bytes: int
    #: How much it printed in all, as far as known.
    stdout_total_bytes: int
    stderr_total_bytes: int
    #: What the journal kept of it, the last part.
    stdout_data: Optional[int]
    stdout_size: int
    stderr_data: Optional[int]
    stderr_size: int
    #: 1: more was printed than is given here.
    stdout_truncated: int
    stderr_truncated: int

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("running", ctypes.c_int32),
        ("number", ctypes.c_uint64),
        ("argv", _P(ctypes.c_char_p)),
        ("argc", ctypes.c_size_t),
        ("argv_truncated", ctypes.c_int32),
        ("pty", ctypes.c_int32),
        ("cwd", ctypes.c_char_p),
        ("user", ctypes.c_char_p),
        ("env_names", _P(ctypes.c_char_p)),
        ("env_count", ctypes.c_size_t),
        ("started_at_ns", ctypes.c_int64),
        ("exit_code", ctypes.c_int32),
        ("term_signal", ctypes.c_int32),
        ("timed_out", ctypes.c_int32),
        ("oom_killed", ctypes.c_int32),
        ("status", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("message", ctypes.c_char_p),
        ("duration_ms", ctypes.c_uint64),
        ("cpu_time_ms", ctypes.c_uint64),
        ("memory_peak_bytes", ctypes.c_uint64),
        ("stdout_total_bytes", ctypes.c_uint64),
        ("stderr_total_bytes", ctypes.c_uint64),
        ("stdout_data", ctypes.c_void_p),
        ("stdout_size", ctypes.c_size_t),
        ("stderr_data", ctypes.c_void_p),
        ("stderr_size", ctypes.c_size_t),
        ("stdout_truncated", ctypes.c_int32),
        ("stderr_truncated", ctypes.c_int32),
    ]


class pyro_command_list(ctypes.Structure):
    """What pyro_task_logs() gives."""

    struct_size: int
    reserved: int
    #: By number; each by its own pointer: its struct_size may be that of a newer library.
    items: Any
    count: int
    #: The same as one JSON object.
    json: Optional[bytes]

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("items", _P(_P(pyro_command))),
        ("count", ctypes.c_size_t),
        ("json", ctypes.c_char_p),
    ]


class FileType(IntEnum):
    """What a path in a guest is."""

    #: A device, a FIFO, a socket.
    OTHER = 0
    REGULAR = 1
    DIRECTORY = 2
    SYMLINK = 3


class FileChange(IntEnum):
    """What became of a path since the task was made."""

    #: Not asked for.
    NOT_COMPARED = 0
    ADDED = 1
    CHANGED = 2
    REMOVED = 3


class pyro_file_info(ctypes.Structure):
    """One file of a guest."""

    struct_size: int
    #: pyro_file_type.
    type: int
    #: pyro_file_change.
    change: int
    #: Permission bits, 07777.
    mode: int
    uid: int
    gid: int
    #: Below the directory that was asked for; of pyro_file_stat() as it was asked for.
    path: Optional[bytes]
    #: Of a symbolic link; else "".
    target: Optional[bytes]
    #: Of a regular file; else 0.
    size_bytes: int
    #: Nanoseconds since 1970-01-01 UTC.
    mtime_ns: int

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("type", ctypes.c_uint32),
        ("change", ctypes.c_uint32),
        ("mode", ctypes.c_uint32),
        ("uid", ctypes.c_uint32),
        ("gid", ctypes.c_uint32),
        ("path", ctypes.c_char_p),
        ("target", ctypes.c_char_p),
        ("size_bytes", ctypes.c_uint64),
        ("mtime_ns", ctypes.c_int64),
    ]


class pyro_file_result(ctypes.Structure):
    """What calls about files give."""

    struct_size: int
    #: 1: there was more than max_bytes (read) or max_entries (list, diff).
    truncated: int
    #: stat, list, diff: in the order of their names, byte by byte; each by its own pointer: its struct_size may be that
    #: of a newer library.
    items: Any
    count: int
    #: Blocking read: data_size bytes, and a NUL behind them.
    data: Optional[bytes]
    data_size: int
    #: read: of the file.
    file_size_bytes: int
    #: Files, directories and links that were read, made or removed.
    entry_count: int
    #: Of file contents.
    byte_count: int
    #: upload, download: devices, FIFOs and sockets, which were left out.
    skipped_count: int
    #: upload, download: files that changed while they were read: they have the size that they had when that began.
    changed_count: int
    #: The same as one JSON object.
    json: Optional[bytes]

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("truncated", ctypes.c_int32),
        ("items", _P(_P(pyro_file_info))),
        ("count", ctypes.c_size_t),
        ("data", ctypes.c_char_p),
        ("data_size", ctypes.c_size_t),
        ("file_size_bytes", ctypes.c_uint64),
        ("entry_count", ctypes.c_uint64),
        ("byte_count", ctypes.c_uint64),
        ("skipped_count", ctypes.c_uint64),
        ("changed_count", ctypes.c_uint64),
        ("json", ctypes.c_char_p),
    ]


class pyro_event(ctypes.Structure):
    """One step of an operation."""

    struct_size: int
    #: pyro_event_kind.
    kind: int
    data: Optional[int]
    size: int
    #: Stable id of the stage, such as "build", "boot".
    stage: Optional[bytes]
    #: The step in words.
    message: Optional[bytes]
    #: Steps or bytes done, and in all; total is 0 where it is not known.
    done: int
    total: int
    vm_id: Optional[bytes]
    result: Any
    error: Any
    environments: Any
    doctor: Any
    vms: Any
    commands: Any
    #: STARTED: number of the command in its task, 0 in a one-shot VM.
    command_number: int
    files: Any
    #: STARTED: 1: the command has a terminal.
    pty: int
    #: STARTED: 1: what is written with pyro_op_write_stdin() reaches the command.
    stdin_open: int

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("kind", ctypes.c_uint32),
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("stage", ctypes.c_char_p),
        ("message", ctypes.c_char_p),
        ("done", ctypes.c_uint64),
        ("total", ctypes.c_uint64),
        ("vm_id", ctypes.c_char_p),
        ("result", _P(pyro_result)),
        ("error", _P(pyro_error)),
        ("environments", _P(pyro_environment_list)),
        ("doctor", _P(pyro_doctor_report)),
        ("vms", _P(pyro_vm_list)),
        ("commands", _P(pyro_command_list)),
        ("command_number", ctypes.c_uint64),
        ("files", _P(pyro_file_result)),
        ("pty", ctypes.c_uint32),
        ("stdin_open", ctypes.c_uint32),
    ]


class StdinMode(IntEnum):
    """Where a command's standard input comes from."""

    #: stdin_data, then end of file.
    DATA = 0
    #: pyro_op_write_stdin() and pyro_op_close_stdin().
    STREAM = 1


class pyro_run_options(ctypes.Structure):
    """What to run, where, and within which limits."""

    struct_size: int
    #: pyro_engine.
    engine: int
    #: Name of the environment, such as "debian:12".
    environment: Optional[bytes]
    #: A shell command line, run as /bin/sh -c.
    command: Optional[bytes]
    #: Program and arguments, executed as they are: argc strings.
    argv: Any
    argc: int
    #: "NAME=value" strings, set on top of the environment's own variables: env_count strings.
    env: Any
    env_count: int
    #: Working directory in the guest.
    cwd: Optional[bytes]
    #: User name or number in the guest.
    user: Optional[bytes]
    #: Standard input with PYRO_STDIN_DATA: stdin_size bytes.
    stdin_data: Optional[int]
    stdin_size: int
    #: pyro_stdin_mode.
    stdin_mode: int
    #: 1: run on a pseudo terminal; its output comes as stdout.
    pty: int
    #: Size of the terminal.
    pty_rows: int
    pty_columns: int
    #: 1 to 16.
    vcpu_count: int
    #: Memory of the guest, 128 to 65536.
    mem_mib: int
    #: Scratch disk (what the command writes anywhere), 64 to 1048576.
    disk_mib: int
    #: 1: a network.
    network: int
    #: How long the command may run, from its start in the guest: 0.001 to 31536000, or PYRO_NO_TIMEOUT.
    timeout_seconds: float
    #: How long the VM may take to start: 0.001 to 86400.
    boot_timeout_seconds: float
    #: How long the VM may live in all: 0.001 to 31536000.
    max_lifetime_seconds: float
    #: How much of each stream a result keeps.
    output_limit_bytes: int

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("engine", ctypes.c_uint32),
        ("environment", ctypes.c_char_p),
        ("command", ctypes.c_char_p),
        ("argv", _P(ctypes.c_char_p)),
        ("argc", ctypes.c_size_t),
        ("env", _P(ctypes.c_char_p)),
        ("env_count", ctypes.c_size_t),
        ("cwd", ctypes.c_char_p),
        ("user", ctypes.c_char_p),
        ("stdin_data", ctypes.c_void_p),
        ("stdin_size", ctypes.c_size_t),
        ("stdin_mode", ctypes.c_uint32),
        ("pty", ctypes.c_uint32),
        ("pty_rows", ctypes.c_uint32),
        ("pty_columns", ctypes.c_uint32),
        ("vcpu_count", ctypes.c_uint32),
        ("mem_mib", ctypes.c_uint32),
        ("disk_mib", ctypes.c_uint32),
        ("network", ctypes.c_uint32),
        ("timeout_seconds", ctypes.c_double),
        ("boot_timeout_seconds", ctypes.c_double),
        ("max_lifetime_seconds", ctypes.c_double),
        ("output_limit_bytes", ctypes.c_uint64),
    ]


class pyro_task_options(ctypes.Structure):
    """What a task is to be."""

    struct_size: int
    #: As in pyro_run_options, with the same ranges and defaults; the next four as well.
    engine: int
    environment: Optional[bytes]
    vcpu_count: int
    mem_mib: int
    #: The disk of the task: everything that commands write, and all that they may.
    disk_mib: int
    network: int
    #: "NAME=VALUE" strings to find it by: label_count of them, at most 64.
    labels: Any
    label_count: int
    #: How long the VM may take to start: 0.001 to 86400.
    boot_timeout_seconds: float
    #: How long it goes on with no client connected and no command running: 0.001 to 31536000, or PYRO_NO_TIMEOUT.
    ttl_seconds: float
    #: How long its VM may run from a start on: 0.001 to 31536000.
    max_lifetime_seconds: float
    #: How long it is kept once it is stopped or has failed: 0.001 to 31536000, or PYRO_NO_TIMEOUT.
    retention_seconds: float
    #: A directory of this host whose content is copied into /workspace, or an uncompressed tar file: as
    #: pyro_file_upload() does, before this returns.
    seed: Optional[bytes]

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("engine", ctypes.c_uint32),
        ("environment", ctypes.c_char_p),
        ("vcpu_count", ctypes.c_uint32),
        ("mem_mib", ctypes.c_uint32),
        ("disk_mib", ctypes.c_uint32),
        ("network", ctypes.c_uint32),
        ("labels", _P(ctypes.c_char_p)),
        ("label_count", ctypes.c_size_t),
        ("boot_timeout_seconds", ctypes.c_double),
        ("ttl_seconds", ctypes.c_double),
        ("max_lifetime_seconds", ctypes.c_double),
        ("retention_seconds", ctypes.c_double),
        ("seed", ctypes.c_char_p),
    ]


class pyro_task_query(ctypes.Structure):
    """Which task a call is about; which fields count is said at each."""

    struct_size: int
    reserved: int
    #: Its id; all but list.
    task_id: Optional[bytes]
    #: list: only those that have all of these "NAME=VALUE" labels: label_count strings.
    labels: Any
    label_count: int
    #: list: only those in one of these states: the sum of 1 << pyro_vm_state.
    state_mask: int
    reserved2: int
    #: set_ttl: as in pyro_task_options.
    ttl_seconds: float

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("task_id", ctypes.c_char_p),
        ("labels", _P(ctypes.c_char_p)),
        ("label_count", ctypes.c_size_t),
        ("state_mask", ctypes.c_uint32),
        ("reserved2", ctypes.c_uint32),
        ("ttl_seconds", ctypes.c_double),
    ]


class pyro_exec_options(ctypes.Structure):
    """What to run in a task."""

    struct_size: int
    #: 1: do not wait for the command: the last event is DONE with `commands`, which has its number.
    detach: int
    task_id: Optional[bytes]
    #: The rest as in pyro_run_options.
    command: Optional[bytes]
    argv: Any
    argc: int
    env: Any
    env_count: int
    cwd: Optional[bytes]
    user: Optional[bytes]
    stdin_data: Optional[int]
    stdin_size: int
    stdin_mode: int
    pty: int
    pty_rows: int
    pty_columns: int
    timeout_seconds: float
    output_limit_bytes: int
    #: 1: its input stays open when its client goes, for those who attach later (pyro_task_attach_start()).
    keep_stdin: int
    reserved: int

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("detach", ctypes.c_uint32),
        ("task_id", ctypes.c_char_p),
        ("command", ctypes.c_char_p),
        ("argv", _P(ctypes.c_char_p)),
        ("argc", ctypes.c_size_t),
        ("env", _P(ctypes.c_char_p)),
        ("env_count", ctypes.c_size_t),
        ("cwd", ctypes.c_char_p),
        ("user", ctypes.c_char_p),
        ("stdin_data", ctypes.c_void_p),
        ("stdin_size", ctypes.c_size_t),
        ("stdin_mode", ctypes.c_uint32),
        ("pty", ctypes.c_uint32),
        ("pty_rows", ctypes.c_uint32),
        ("pty_columns", ctypes.c_uint32),
        ("timeout_seconds", ctypes.c_double),
        ("output_limit_bytes", ctypes.c_uint64),
        ("keep_stdin", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


class pyro_attach_options(ctypes.Structure):
    """Which command to attach to."""

    struct_size: int
    #: pyro_stdin_mode.
    stdin_mode: int
    task_id: Optional[bytes]
    #: Of the command in its task, from 1 on.
    command_number: int
    #: Size that the command's terminal gets, 1 to 65535 each; then the program in it is asked to redraw.
    pty_rows: int
    pty_columns: int
    #: How much of what it printed before is told, the last part, both streams together.
    tail_bytes: int
    #: As in pyro_run_options.
    output_limit_bytes: int

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("stdin_mode", ctypes.c_uint32),
        ("task_id", ctypes.c_char_p),
        ("command_number", ctypes.c_uint64),
        ("pty_rows", ctypes.c_uint32),
        ("pty_columns", ctypes.c_uint32),
        ("tail_bytes", ctypes.c_uint64),
        ("output_limit_bytes", ctypes.c_uint64),
    ]


class LogsMode(IntEnum):
    """How pyro_task_logs_start() tells what commands printed."""

    #: In the list that ends it.
    LIST = 0
    #: As STDOUT and STDERR events in the order of printing: all that there is now.
    STREAM = 1
    #: The same, and what is still to come: until the command asked for has ended, or the task does not run.
    FOLLOW = 2


class pyro_logs_options(ctypes.Structure):
    """What to tell of a task's journal."""

    struct_size: int
    #: pyro_logs_mode.
    mode: int
    task_id: Optional[bytes]
    #: Only this command.
    command_number: int
    #: How many of the newest commands.
    command_limit: int
    #: LIST: how much of each stream of each command, the last part.
    output_limit_bytes: int

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("mode", ctypes.c_uint32),
        ("task_id", ctypes.c_char_p),
        ("command_number", ctypes.c_uint64),
        ("command_limit", ctypes.c_uint64),
        ("output_limit_bytes", ctypes.c_uint64),
    ]


class pyro_file_options(ctypes.Structure):
    """What to do with files of a task; which fields count is said at each call."""

    struct_size: int
    #: list: with everything below. remove: a directory with everything in it.
    recursive: int
    task_id: Optional[bytes]
    #: In the guest: 1 to 4095 bytes.
    path: Optional[bytes]
    #: upload: what to send: a directory, whose content goes into the directory `path`, or a file, which becomes `path`
    #: or goes into it if it is a directory. download, export: where to put it, the other way round.
    local_path: Optional[bytes]
    #: write: the content: data_size bytes.
    data: Optional[int]
    data_size: int
    #: pyro_stdin_mode.
    stdin_mode: int
    #: upload: local_path is an uncompressed tar file. download: it is to become one.
    tar: int
    #: write, make_dir, upload: 1: make missing directories on the way; make_dir: one that is there is fine.
    parents: int
    #: write: 1: only if there is none, else EXISTS.
    exclusive: int
    #: write, make_dir: permission bits 01 to 0777.
    mode: int
    #: upload, download, export: the longest path in the tree, 1 to 4095.
    max_path_bytes: int
    #: read: where to start.
    offset: int
    #: read: how much at most.
    max_bytes: int
    #: list, diff: how many at most, 1 to 1000000.
    max_entries: int
    #: How long it may take in the guest: 0.001 to 31536000, or PYRO_NO_TIMEOUT; then TIMEOUT.
    timeout_seconds: float
    #: User name or number in the guest who does it.
    user: Optional[bytes]

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("recursive", ctypes.c_uint32),
        ("task_id", ctypes.c_char_p),
        ("path", ctypes.c_char_p),
        ("local_path", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("data_size", ctypes.c_size_t),
        ("stdin_mode", ctypes.c_uint32),
        ("tar", ctypes.c_uint32),
        ("parents", ctypes.c_uint32),
        ("exclusive", ctypes.c_uint32),
        ("mode", ctypes.c_uint32),
        ("max_path_bytes", ctypes.c_uint32),
        ("offset", ctypes.c_uint64),
        ("max_bytes", ctypes.c_uint64),
        ("max_entries", ctypes.c_uint64),
        ("timeout_seconds", ctypes.c_double),
        ("user", ctypes.c_char_p),
    ]


class pyro_env_options(ctypes.Structure):
    """Options of the pyro_env_* calls; which fields count is said at each."""

    struct_size: int
    #: inspect: 1: read every file and compare its digest.
    verify: int
    #: build: 1: build again even if it is there.
    force: int
    #: prune: 1: also the environments themselves, not only what none of them needs.
    all: int
    #: build, inspect, import, export: name of the environment.
    name: Optional[bytes]
    #: import: a rootfs directory or tarball, or a bundle that export wrote. export: the file to write.
    path: Optional[bytes]

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("verify", ctypes.c_uint32),
        ("force", ctypes.c_uint32),
        ("all", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("path", ctypes.c_char_p),
    ]


#: Function -> (type of the result, types of the arguments). _P(T) is T *.
PROTOTYPES: Dict[str, Tuple[Any, List[Any]]] = {
    "pyro_version_number": (ctypes.c_uint32, []),
    "pyro_version_string": (ctypes.c_char_p, []),
    "pyro_feature": (ctypes.c_int32, [ctypes.c_char_p]),
    "pyro_status_name": (ctypes.c_char_p, [ctypes.c_int32]),
    "pyro_error_code": (ctypes.c_int32, [_P(pyro_error)]),
    "pyro_error_message": (ctypes.c_char_p, [_P(pyro_error)]),
    "pyro_error_console": (ctypes.c_char_p, [_P(pyro_error)]),
    "pyro_error_destroy": (None, [_P(_P(pyro_error))]),
    "pyro_open_options_init": (None, [_P(pyro_open_options), ctypes.c_size_t]),
    "pyro_open": (ctypes.c_int32, [_P(pyro_open_options), _P(_P(pyro_context)), _P(_P(pyro_error))]),
    "pyro_close": (None, [_P(_P(pyro_context))]),
    "pyro_log_next": (ctypes.c_int32, [_P(pyro_context), _P(pyro_log_record)]),
    "pyro_result_destroy": (None, [_P(_P(pyro_result))]),
    "pyro_environment_list_destroy": (None, [_P(_P(pyro_environment_list))]),
    "pyro_doctor_report_destroy": (None, [_P(_P(pyro_doctor_report))]),
    "pyro_vm_list_destroy": (None, [_P(_P(pyro_vm_list))]),
    "pyro_command_list_destroy": (None, [_P(_P(pyro_command_list))]),
    "pyro_file_result_destroy": (None, [_P(_P(pyro_file_result))]),
    "pyro_op_fd": (ctypes.c_int, [_P(pyro_op)]),
    "pyro_op_next": (ctypes.c_int32, [_P(pyro_op), ctypes.c_int64, _P(pyro_event), _P(_P(pyro_error))]),
    "pyro_op_write_stdin": (
        ctypes.c_int32,
        [_P(pyro_op), ctypes.c_void_p, ctypes.c_size_t, _P(ctypes.c_size_t), _P(_P(pyro_error))],
    ),
    "pyro_op_close_stdin": (ctypes.c_int32, [_P(pyro_op), _P(_P(pyro_error))]),
    "pyro_op_signal": (ctypes.c_int32, [_P(pyro_op), ctypes.c_int32, _P(_P(pyro_error))]),
    "pyro_op_resize": (ctypes.c_int32, [_P(pyro_op), ctypes.c_uint32, ctypes.c_uint32, _P(_P(pyro_error))]),
    "pyro_op_cancel": (ctypes.c_int32, [_P(pyro_op), _P(_P(pyro_error))]),
    "pyro_op_destroy": (None, [_P(_P(pyro_op))]),
    "pyro_run_options_init": (None, [_P(pyro_run_options), ctypes.c_size_t]),
    "pyro_run_in_vm_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_run_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_run_in_vm": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_run_options), _P(_P(pyro_result)), _P(_P(pyro_error))],
    ),
    "pyro_task_options_init": (None, [_P(pyro_task_options), ctypes.c_size_t]),
    "pyro_task_query_init": (None, [_P(pyro_task_query), ctypes.c_size_t]),
    "pyro_exec_options_init": (None, [_P(pyro_exec_options), ctypes.c_size_t]),
    "pyro_attach_options_init": (None, [_P(pyro_attach_options), ctypes.c_size_t]),
    "pyro_logs_options_init": (None, [_P(pyro_logs_options), ctypes.c_size_t]),
    "pyro_task_create": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_options), _P(_P(pyro_vm_list)), _P(_P(pyro_error))],
    ),
    "pyro_task_create_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_task_exec": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_exec_options), _P(_P(pyro_result)), _P(_P(pyro_error))],
    ),
    "pyro_task_exec_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_exec_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_task_attach": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_attach_options), _P(_P(pyro_result)), _P(_P(pyro_error))],
    ),
    "pyro_task_attach_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_attach_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_task_status": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_vm_list)), _P(_P(pyro_error))],
    ),
    "pyro_task_status_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_task_list": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_vm_list)), _P(_P(pyro_error))],
    ),
    "pyro_task_list_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_task_logs": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_logs_options), _P(_P(pyro_command_list)), _P(_P(pyro_error))],
    ),
    "pyro_task_logs_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_logs_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_task_stop": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_vm_list)), _P(_P(pyro_error))],
    ),
    "pyro_task_stop_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_task_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_vm_list)), _P(_P(pyro_error))],
    ),
    "pyro_task_start_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_task_set_ttl": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_vm_list)), _P(_P(pyro_error))],
    ),
    "pyro_task_set_ttl_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_task_delete": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_vm_list)), _P(_P(pyro_error))],
    ),
    "pyro_task_delete_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_reap_expired": (ctypes.c_int32, [_P(pyro_context), _P(_P(pyro_vm_list)), _P(_P(pyro_error))]),
    "pyro_reap_expired_start": (ctypes.c_int32, [_P(pyro_context), _P(_P(pyro_op)), _P(_P(pyro_error))]),
    "pyro_file_options_init": (None, [_P(pyro_file_options), ctypes.c_size_t]),
    "pyro_file_read": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_file_result)), _P(_P(pyro_error))],
    ),
    "pyro_file_read_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_file_write": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_file_result)), _P(_P(pyro_error))],
    ),
    "pyro_file_write_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_file_list": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_file_result)), _P(_P(pyro_error))],
    ),
    "pyro_file_list_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_file_stat": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_file_result)), _P(_P(pyro_error))],
    ),
    "pyro_file_stat_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_file_make_dir": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_file_result)), _P(_P(pyro_error))],
    ),
    "pyro_file_make_dir_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_file_remove": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_file_result)), _P(_P(pyro_error))],
    ),
    "pyro_file_remove_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_file_upload": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_file_result)), _P(_P(pyro_error))],
    ),
    "pyro_file_upload_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_file_download": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_file_result)), _P(_P(pyro_error))],
    ),
    "pyro_file_download_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_file_diff": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_file_result)), _P(_P(pyro_error))],
    ),
    "pyro_file_diff_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_file_export": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_file_result)), _P(_P(pyro_error))],
    ),
    "pyro_file_export_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_file_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_vm_create": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_options), _P(_P(pyro_vm_list)), _P(_P(pyro_error))],
    ),
    "pyro_vm_create_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_vm_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_vm_list)), _P(_P(pyro_error))],
    ),
    "pyro_vm_start_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_vm_exec": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_exec_options), _P(_P(pyro_result)), _P(_P(pyro_error))],
    ),
    "pyro_vm_exec_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_exec_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_vm_status": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_vm_list)), _P(_P(pyro_error))],
    ),
    "pyro_vm_status_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_vm_list_all": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_vm_list)), _P(_P(pyro_error))],
    ),
    "pyro_vm_list_all_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_vm_stop": (ctypes.c_int32, [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_vm_list)), _P(_P(pyro_error))]),
    "pyro_vm_stop_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_vm_delete": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_vm_list)), _P(_P(pyro_error))],
    ),
    "pyro_vm_delete_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_task_query), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_registry_rebuild": (ctypes.c_int32, [_P(pyro_context), _P(_P(pyro_vm_list)), _P(_P(pyro_error))]),
    "pyro_registry_rebuild_start": (ctypes.c_int32, [_P(pyro_context), _P(_P(pyro_op)), _P(_P(pyro_error))]),
    "pyro_env_options_init": (None, [_P(pyro_env_options), ctypes.c_size_t]),
    "pyro_env_list": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_environment_list)), _P(_P(pyro_error))],
    ),
    "pyro_env_list_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_env_build": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_environment_list)), _P(_P(pyro_error))],
    ),
    "pyro_env_build_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_env_inspect": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_environment_list)), _P(_P(pyro_error))],
    ),
    "pyro_env_inspect_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_env_import": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_environment_list)), _P(_P(pyro_error))],
    ),
    "pyro_env_import_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_env_export": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_environment_list)), _P(_P(pyro_error))],
    ),
    "pyro_env_export_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_env_prune": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_environment_list)), _P(_P(pyro_error))],
    ),
    "pyro_env_prune_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_env_pull": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_environment_list)), _P(_P(pyro_error))],
    ),
    "pyro_env_pull_start": (
        ctypes.c_int32,
        [_P(pyro_context), _P(pyro_env_options), _P(_P(pyro_op)), _P(_P(pyro_error))],
    ),
    "pyro_doctor": (ctypes.c_int32, [_P(pyro_context), _P(_P(pyro_doctor_report)), _P(_P(pyro_error))]),
    "pyro_doctor_start": (ctypes.c_int32, [_P(pyro_context), _P(_P(pyro_op)), _P(_P(pyro_error))]),
}


class Functions:
    """The functions of a loaded libpyro, with their types set."""

    #: Version of the library that is running, in the form of PYRO_VERSION_NUMBER.
    pyro_version_number: Callable[[], int]
    #: Version of the library that is running, as text such as "0.1.0".
    pyro_version_string: Callable[[], Optional[bytes]]
    #: Whether this build of the library has a feature: 1 yes, 0 no (also for a name it does not know).
    pyro_feature: Callable[[Any], int]
    #: Short lower-case name of a status, such as "not_found".
    pyro_status_name: Callable[[int], Optional[bytes]]
    #: The status that the failed call returned.
    pyro_error_code: Callable[[Any], int]
    #: What failed, on what, why, what to do next: one or two lines.
    pyro_error_message: Callable[[Any], Optional[bytes]]
    #: The last lines of the guest's console, or "" if the guest had no part in it.
    pyro_error_console: Callable[[Any], Optional[bytes]]
    #: Ends *error and sets it to NULL.
    pyro_error_destroy: Callable[[Any], None]
    #: Zeroes `size` bytes at `options` and sets struct_size: the INIT macro for languages without one.
    pyro_open_options_init: Callable[[Any, int], None]
    #: Opens a context. `options` may be NULL.
    pyro_open: Callable[[Any, Any, Any], int]
    #: Closes *context and sets it to NULL.
    pyro_close: Callable[[Any], None]
    #: Takes the oldest remembered log line.
    pyro_log_next: Callable[[Any, Any], int]
    #: Ends a result that a blocking call gave, and sets *result to NULL.
    pyro_result_destroy: Callable[[Any], None]
    #: Ends a list that a blocking call gave, and sets *list to NULL.
    pyro_environment_list_destroy: Callable[[Any], None]
    #: Ends a report that pyro_doctor() gave, and sets *report to NULL.
    pyro_doctor_report_destroy: Callable[[Any], None]
    #: Ends a list that a blocking call gave, and sets *list to NULL.
    pyro_vm_list_destroy: Callable[[Any], None]
    #: Ends a list that a blocking call gave, and sets *list to NULL.
    pyro_command_list_destroy: Callable[[Any], None]
    #: Ends a result that a blocking call gave, and sets *result to NULL.
    pyro_file_result_destroy: Callable[[Any], None]
    #: A descriptor that is readable while pyro_op_next() may have something to do.
    pyro_op_fd: Callable[[Any], int]
    #: Takes the next event, waiting up to timeout_ms for it (0: not at all, -1: as long as it takes).
    pyro_op_next: Callable[[Any, int, Any, Any], int]
    #: Hands bytes to the command's standard input; never waits. *accepted says how many were taken, possibly 0.
    pyro_op_write_stdin: Callable[[Any, Any, int, Any, Any], int]
    #: Ends the command's standard input after what was accepted.
    pyro_op_close_stdin: Callable[[Any, Any], int]
    #: Sends a signal (1 to 64, Linux numbers) to the command; with a terminal, to its foreground job.
    pyro_op_signal: Callable[[Any, int, Any], int]
    #: Changes the size of the command's terminal (1 to 65535 each).
    pyro_op_resize: Callable[[Any, int, int, Any], int]
    #: Ends the operation: a one-shot VM is destroyed, a build stops.
    pyro_op_cancel: Callable[[Any, Any], int]
    #: Ends *op and everything it started, waiting for that (at most about two seconds), and sets it to NULL.
    pyro_op_destroy: Callable[[Any], None]
    #: Zeroes `size` bytes at `options` and sets struct_size.
    pyro_run_options_init: Callable[[Any, int], None]
    #: Starts running one command in one new VM.
    pyro_run_in_vm_start: Callable[[Any, Any, Any, Any], int]
    #: Runs one command in one new VM and waits for its end.
    pyro_run_in_vm: Callable[[Any, Any, Any, Any], int]
    #: Zeroes `size` bytes at `options` and sets struct_size.
    pyro_task_options_init: Callable[[Any, int], None]
    #: Zeroes `size` bytes at `query` and sets struct_size.
    pyro_task_query_init: Callable[[Any, int], None]
    #: Zeroes `size` bytes at `options` and sets struct_size.
    pyro_exec_options_init: Callable[[Any, int], None]
    #: Zeroes `size` bytes at `options` and sets struct_size.
    pyro_attach_options_init: Callable[[Any, int], None]
    #: Zeroes `size` bytes at `options` and sets struct_size.
    pyro_logs_options_init: Callable[[Any, int], None]
    #: Makes a task and starts its VM; it runs when this returns, and has an id.
    pyro_task_create: Callable[[Any, Any, Any, Any], int]
    pyro_task_create_start: Callable[[Any, Any, Any, Any], int]
    #: Runs a command in a running task.
    pyro_task_exec: Callable[[Any, Any, Any, Any], int]
    pyro_task_exec_start: Callable[[Any, Any, Any, Any], int]
    #: Attaches to a command that somebody started in a task, and waits for its end; any number may at once, and all are
    #: equal: input goes to the command in the order of its arrival, the last size of the terminal counts, whoever
    #: closes the input closes it for all.
    pyro_task_attach: Callable[[Any, Any, Any, Any], int]
    pyro_task_attach_start: Callable[[Any, Any, Any, Any], int]
    #: What it does now, with all that is known of it.
    pyro_task_status: Callable[[Any, Any, Any, Any], int]
    pyro_task_status_start: Callable[[Any, Any, Any, Any], int]
    #: All tasks, newest first; `query` may be NULL.
    pyro_task_list: Callable[[Any, Any, Any, Any], int]
    pyro_task_list_start: Callable[[Any, Any, Any, Any], int]
    #: Its commands, with what they printed.
    pyro_task_logs: Callable[[Any, Any, Any, Any], int]
    pyro_task_logs_start: Callable[[Any, Any, Any, Any], int]
    #: Powers its VM off: commands that run are ended, its memory is freed, its disk and journal stay.
    pyro_task_stop: Callable[[Any, Any, Any, Any], int]
    pyro_task_stop_start: Callable[[Any, Any, Any, Any], int]
    #: Starts a VM for it again, on its disk.
    pyro_task_start: Callable[[Any, Any, Any, Any], int]
    pyro_task_start_start: Callable[[Any, Any, Any, Any], int]
    #: Changes how long it goes on unused, for now and for later starts; the time begins anew.
    pyro_task_set_ttl: Callable[[Any, Any, Any, Any], int]
    pyro_task_set_ttl_start: Callable[[Any, Any, Any, Any], int]
    #: Kills its VM and removes its disk and journal.
    pyro_task_delete: Callable[[Any, Any, Any, Any], int]
    pyro_task_delete_start: Callable[[Any, Any, Any, Any], int]
    #: Deletes what has outlived its retention, and left-overs of creations and deletions that were cut off; the list
    #: has the deleted ones.
    pyro_reap_expired: Callable[[Any, Any, Any], int]
    pyro_reap_expired_start: Callable[[Any, Any, Any], int]
    #: Zeroes `size` bytes at `options` and sets struct_size.
    pyro_file_options_init: Callable[[Any, int], None]
    #: The content of a regular file; as an operation in STDOUT events.
    pyro_file_read: Callable[[Any, Any, Any, Any], int]
    pyro_file_read_start: Callable[[Any, Any, Any, Any], int]
    #: Puts a file at a path, in place of one that is there: at once and whole, or not at all.
    pyro_file_write: Callable[[Any, Any, Any, Any], int]
    pyro_file_write_start: Callable[[Any, Any, Any, Any], int]
    #: What is in a directory.
    pyro_file_list: Callable[[Any, Any, Any, Any], int]
    pyro_file_list_start: Callable[[Any, Any, Any, Any], int]
    #: One path, in `items`.
    pyro_file_stat: Callable[[Any, Any, Any, Any], int]
    pyro_file_stat_start: Callable[[Any, Any, Any, Any], int]
    #: Makes a directory.
    pyro_file_make_dir: Callable[[Any, Any, Any, Any], int]
    pyro_file_make_dir_start: Callable[[Any, Any, Any, Any], int]
    #: Removes a file, a symbolic link (not what it leads to) or an empty directory.
    pyro_file_remove: Callable[[Any, Any, Any, Any], int]
    pyro_file_remove_start: Callable[[Any, Any, Any, Any], int]
    #: Copies a directory, a file or the content of a tar into the guest.
    pyro_file_upload: Callable[[Any, Any, Any, Any], int]
    pyro_file_upload_start: Callable[[Any, Any, Any, Any], int]
    #: Copies a directory or a file out of the guest, in the same way, but a directory only to where nothing is, or into
    #: an empty directory (EXISTS): whether a directory or a file comes is the guest's word.
    pyro_file_download: Callable[[Any, Any, Any, Any], int]
    pyro_file_download_start: Callable[[Any, Any, Any, Any], int]
    #: What was added, changed and removed in /workspace since the task was made (docs/files.md says what counts).
    pyro_file_diff: Callable[[Any, Any, Any, Any], int]
    pyro_file_diff_start: Callable[[Any, Any, Any, Any], int]
    #: The whole /workspace as one tar file, local_path, in a reproducible order; without it in STDOUT events.
    pyro_file_export: Callable[[Any, Any, Any, Any], int]
    pyro_file_export_start: Callable[[Any, Any, Any, Any], int]
    #: Makes a VM, without starting it.
    pyro_vm_create: Callable[[Any, Any, Any, Any], int]
    pyro_vm_create_start: Callable[[Any, Any, Any, Any], int]
    #: Starts one.
    pyro_vm_start: Callable[[Any, Any, Any, Any], int]
    pyro_vm_start_start: Callable[[Any, Any, Any, Any], int]
    #: Runs one command in a running VM, and removes the VM when that has ended; task_id of the options is the VM's.
    pyro_vm_exec: Callable[[Any, Any, Any, Any], int]
    pyro_vm_exec_start: Callable[[Any, Any, Any, Any], int]
    #: As pyro_task_status().
    pyro_vm_status: Callable[[Any, Any, Any, Any], int]
    pyro_vm_status_start: Callable[[Any, Any, Any, Any], int]
    #: As pyro_task_list(), of VMs.
    pyro_vm_list_all: Callable[[Any, Any, Any, Any], int]
    pyro_vm_list_all_start: Callable[[Any, Any, Any, Any], int]
    #: As pyro_task_stop().
    pyro_vm_stop: Callable[[Any, Any, Any, Any], int]
    pyro_vm_stop_start: Callable[[Any, Any, Any, Any], int]
    #: As pyro_task_delete().
    pyro_vm_delete: Callable[[Any, Any, Any, Any], int]
    pyro_vm_delete_start: Callable[[Any, Any, Any, Any], int]
    #: Makes the registry again from the folders, whatever is in the file; other processes may go on meanwhile.
    pyro_registry_rebuild: Callable[[Any, Any, Any], int]
    pyro_registry_rebuild_start: Callable[[Any, Any, Any], int]
    #: Zeroes `size` bytes at `options` and sets struct_size.
    pyro_env_options_init: Callable[[Any, int], None]
    #: All environments: those that are here and those of the catalogue.
    pyro_env_list: Callable[[Any, Any, Any, Any], int]
    pyro_env_list_start: Callable[[Any, Any, Any, Any], int]
    #: Builds an environment of the catalogue, unless it is there.
    pyro_env_build: Callable[[Any, Any, Any, Any], int]
    pyro_env_build_start: Callable[[Any, Any, Any, Any], int]
    #: One environment with its manifest.
    pyro_env_inspect: Callable[[Any, Any, Any, Any], int]
    pyro_env_inspect_start: Callable[[Any, Any, Any, Any], int]
    #: Registers an own root filesystem, or a bundle, under a name.
    pyro_env_import: Callable[[Any, Any, Any, Any], int]
    pyro_env_import_start: Callable[[Any, Any, Any, Any], int]
    #: Writes an environment (kernel, initramfs, image, manifest) to one file.
    pyro_env_export: Callable[[Any, Any, Any, Any], int]
    pyro_env_export_start: Callable[[Any, Any, Any, Any], int]
    #: Removes what nothing needs: left-overs of interrupted builds and files of no environment.
    pyro_env_prune: Callable[[Any, Any, Any, Any], int]
    pyro_env_prune_start: Callable[[Any, Any, Any, Any], int]
    #: Fetches an environment from a registry.
    pyro_env_pull: Callable[[Any, Any, Any, Any], int]
    pyro_env_pull_start: Callable[[Any, Any, Any, Any], int]
    #: Checks what this host can do and why engine=auto picks what it picks.
    pyro_doctor: Callable[[Any, Any, Any], int]
    pyro_doctor_start: Callable[[Any, Any, Any], int]

    def __init__(self, library: ctypes.CDLL) -> None:
        for name, (result, arguments) in PROTOTYPES.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
            setattr(self, name, function)
