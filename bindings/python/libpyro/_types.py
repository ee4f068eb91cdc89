"""What operations give: events, results, environments, the report on the host. All immutable."""
from __future__ import annotations

import ctypes
import json
import os
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Iterator, Mapping, Optional, Tuple, Type, Union

from ._bindings import CheckStatus, Engine, EventKind, FileChange, FileType, KvmState, StartKind, VmState
from ._errors import text


@dataclass(frozen=True)
class Result:
    """What a command did. A command that fails is a result, not an error."""

    #: 124 if timed_out; 128 + N if signal N killed it; 126 or 127 if it could not be executed or found.
    exit_code: int
    #: What was kept of the output: at most output_limit_bytes each.
    stdout: bytes
    stderr: bytes
    #: More was printed than was kept.
    stdout_truncated: bool
    stderr_truncated: bool
    #: How much the command printed in all.
    stdout_total_bytes: int
    stderr_total_bytes: int
    #: The signal that ended the command, else 0.
    term_signal: int
    #: timeout_seconds passed and the whole process tree was killed.
    timed_out: bool
    #: The guest ran out of memory and its kernel killed a process of the command.
    oom_killed: bool
    #: "kvm" or "software".
    engine: str
    #: "cold", "template" or "running".
    start_kind: str
    #: From the command's start in the guest to its end.
    duration_ms: int
    #: From the call to the command's start in the guest.
    startup_ms: int
    #: Of the command's process tree; 0 if not known.
    cpu_time_ms: int
    memory_peak_bytes: int
    vm_id: str
    #: "" and 0 in a one-shot VM.
    task_id: str
    command_number: int

    @property
    def stdout_text(self) -> str:
        """stdout as UTF-8; what is not valid becomes U+FFFD."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def stderr_text(self) -> str:
        """stderr as UTF-8; what is not valid becomes U+FFFD."""
        return self.stderr.decode("utf-8", "replace")


@dataclass(frozen=True)
class Environment:
    """One environment: a guest kernel and a root filesystem under a name."""

    name: str
    #: One line for people.
    description: str
    #: False: it is in the catalogue and will be built on first use, or it is damaged: description says why.
    available: bool
    #: "sha256:..." of the manifest; "" if not available.
    digest: str
    #: Version of the guest kernel; "" if not available.
    kernel_version: str
    #: Size on disk; 0 if not available.
    size_bytes: int
    #: Seconds since 1970-01-01 UTC when it was built or imported; 0 if not available.
    created_at: int
    #: Packages and files, from inspect_environment(); else None.
    manifest: Optional[Mapping[str, Any]] = field(default=None, repr=False)


@dataclass(frozen=True)
class PruneReport:
    """What prune_environments() did: the environments that are left, and what it freed."""

    environments: Tuple[Environment, ...]
    freed_bytes: int


@dataclass(frozen=True)
class Check:
    """One check of doctor()."""

    #: Stable id, such as "kvm" or "qemu".
    name: str
    #: "ok", "warning" or "failed".
    status: str
    #: What was found.
    message: str
    #: What to do; "" if nothing.
    remedy: str


@dataclass(frozen=True)
class DoctorReport:
    """What this host can do."""

    #: No check failed.
    healthy: bool
    #: What engine="auto" picks now: "kvm", "software", or "" if none works.
    engine: str
    #: "absent", "no_permission", "emulating" or "accelerated".
    kvm_state: str
    checks: Tuple[Check, ...]
    #: The same and more as one JSON object.
    details: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Task:
    """A VM that stays, as far as is known of it."""

    #: 12 letters and digits.
    id: str
    #: "created", "starting", "running", "stopped" or "failed".
    state: str
    #: Why it is stopped or failed; else "".
    reason: str
    environment: str
    labels: Mapping[str, str]
    #: "kvm" or "software": which one ran it last; "" if none has.
    engine: str
    vcpu_count: int
    mem_mib: int
    disk_mib: int
    #: Commands that were run in it so far.
    command_count: int
    #: Seconds since 1970-01-01 UTC; started_at is 0 if it never was.
    created_at: int
    started_at: int
    #: When it is stopped (running) or deleted (not running) if nobody uses it until then; 0: never, or not known.
    expires_at: int
    #: What its files take on the host's disk.
    disk_used_bytes: int
    #: Of one that runs: memory of its processes besides files, and their CPU time. 0: it does not run, or not known.
    host_memory_bytes: int
    host_cpu_time_ms: int
    #: These only from status_task().
    running_commands: int
    uptime_ms: int
    cpu_time_ms: int


@dataclass(frozen=True)
class CommandRecord:
    """One command in the journal of a task."""

    #: Counts from 1 in each task.
    number: int
    #: It runs, or its VM was killed before it could say how it ended.
    running: bool
    #: Long ones are cut, and argv_truncated says so.
    argv: Tuple[bytes, ...]
    argv_truncated: bool
    cwd: str
    user: str
    #: Of the variables that were set; values are not recorded.
    env_names: Tuple[str, ...]
    pty: bool
    started_at_ns: int
    #: As in Result, once it has ended.
    exit_code: int
    term_signal: int
    timed_out: bool
    oom_killed: bool
    #: Why it was not started, or why its outcome is not known; "" if it ran.
    message: str
    duration_ms: int
    cpu_time_ms: int
    memory_peak_bytes: int
    #: How much it printed in all, as far as known.
    stdout_total_bytes: int
    stderr_total_bytes: int
    #: What is kept of it, the last part.
    stdout: bytes
    stderr: bytes
    stdout_truncated: bool
    stderr_truncated: bool

    @property
    def stdout_text(self) -> str:
        """stdout as UTF-8; what is not valid becomes U+FFFD."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def stderr_text(self) -> str:
        """stderr as UTF-8; what is not valid becomes U+FFFD."""
        return self.stderr.decode("utf-8", "replace")


@dataclass(frozen=True)
class Progress:
    """Something took a step."""

    #: Stable id of the stage, such as "build" or "boot".
    stage: str
    #: The step in words.
    message: str
    #: Steps or bytes done, and in all; total is 0 where it is not known.
    done: int
    total: int


@dataclass(frozen=True)
class Started:
    """The command runs now."""

    vm_id: str
    #: Of the command in its task; 0 in a one-shot VM.
    command_number: int = 0
    #: It has a terminal.
    pty: bool = False
    #: What is written to the operation's input reaches it.
    stdin_open: bool = False


@dataclass(frozen=True)
class Stdout:
    """Bytes from the command."""

    data: bytes
    #: follow_task(): of the command that printed it; else 0.
    command_number: int = 0


@dataclass(frozen=True)
class Stderr:
    """Bytes from the command."""

    data: bytes
    #: As in Stdout.
    command_number: int = 0


@dataclass(frozen=True)
class Exit:
    """Last event of a command. The output came as events: `result` has none."""

    result: Result


@dataclass(frozen=True)
class FileInfo:
    """One file of a guest."""

    #: Below the directory that was asked for; of stat_file() as it was asked for. Bytes that are not UTF-8 are
    #: surrogates, as os.fsdecode() has them; path_bytes has them as they are.
    path: str
    #: "file", "directory", "symlink" or "other".
    type: str
    #: Permission bits.
    mode: int
    #: Of a regular file; else 0.
    size_bytes: int
    #: Nanoseconds since 1970.
    mtime_ns: int
    uid: int
    gid: int
    #: Of a symbolic link; else "".
    target: str = ""
    #: diff_task(): "added", "changed" or "removed"; else "".
    change: str = ""

    @property
    def path_bytes(self) -> bytes:
        return os.fsencode(self.path)


@dataclass(frozen=True)
class FileList:
    """Files in the byte order of their names."""

    files: Tuple[FileInfo, ...]
    #: There are more than max_entries.
    truncated: bool = False

    def __iter__(self) -> Iterator[FileInfo]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class FileContent:
    """What was read of a file."""

    data: bytes
    #: There is more than max_bytes.
    truncated: bool
    file_size_bytes: int

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True)
class Transfer:
    """What was copied."""

    entry_count: int
    byte_count: int
    #: Devices, FIFOs and sockets, which were left out.
    skipped_count: int
    #: Files that changed while they were read.
    changed_count: int


@dataclass(frozen=True)
class Done:
    """Last event of an operation that runs no command."""

    environments: Tuple[Environment, ...] = ()
    report: Optional[DoctorReport] = None
    tasks: Tuple[Task, ...] = ()
    commands: Tuple[CommandRecord, ...] = ()
    files: Tuple[FileInfo, ...] = ()
    #: Calls about files: there was more than max_bytes or max_entries.
    truncated: bool = False
    file_size_bytes: int = 0
    transfer: Optional[Transfer] = None
    #: The same and more as one JSON object.
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)


Event = Union[Progress, Started, Stdout, Stderr, Exit, Done]


def _name(kind: Type[IntEnum], value: int) -> str:
    """An enumerator in lower case; a value of a newer library as a number."""
    try:
        return kind(value).name.lower()
    except ValueError:
        return str(value)


def _details(value: Any) -> Mapping[str, Any]:
    loaded = json.loads(text(value) or "{}")
    return loaded if isinstance(loaded, dict) else {}


def _result(raw: Any) -> Result:
    return Result(
        exit_code=raw.exit_code,
        stdout=ctypes.string_at(raw.stdout_data, raw.stdout_size) if raw.stdout_data else b"",
        stderr=ctypes.string_at(raw.stderr_data, raw.stderr_size) if raw.stderr_data else b"",
        stdout_truncated=bool(raw.stdout_truncated),
        stderr_truncated=bool(raw.stderr_truncated),
        stdout_total_bytes=raw.stdout_total_bytes,
        stderr_total_bytes=raw.stderr_total_bytes,
        term_signal=raw.term_signal,
        timed_out=bool(raw.timed_out),
        oom_killed=bool(raw.oom_killed),
        engine=_name(Engine, raw.engine),
        start_kind=_name(StartKind, raw.start_kind),
        duration_ms=raw.duration_ms,
        startup_ms=raw.startup_ms,
        cpu_time_ms=raw.cpu_time_ms,
        memory_peak_bytes=raw.memory_peak_bytes,
        vm_id=text(raw.vm_id),
        task_id=text(raw.task_id),
        command_number=raw.command_number,
    )


def _environments(raw: Any) -> Done:
    details = _details(raw.json)
    manifests = {
        entry.get("name"): entry.get("manifest") for entry in details.get("environments", ()) if isinstance(entry, dict)
    }
    environments = []
    for index in range(raw.count):
        item = raw.items[index].contents
        name = text(item.name)
        environments.append(
            Environment(
                name=name,
                description=text(item.description),
                available=bool(item.available),
                digest=text(item.digest),
                kernel_version=text(item.kernel_version),
                size_bytes=item.size_bytes,
                created_at=item.created_at,
                manifest=manifests.get(name),
            )
        )
    return Done(environments=tuple(environments), details=details)


def _doctor(raw: Any) -> Done:
    details = _details(raw.json)
    report = DoctorReport(
        healthy=bool(raw.healthy),
        engine=_name(Engine, raw.engine) if raw.engine else "",
        kvm_state=_name(KvmState, raw.kvm_state),
        checks=tuple(
            Check(text(item.name), _name(CheckStatus, item.status), text(item.message), text(item.remedy))
            for item in (raw.checks[index].contents for index in range(raw.check_count))
        ),
        details=details,
    )
    return Done(report=report, details=details)


def _strings(values: Any, count: int) -> Tuple[bytes, ...]:
    return tuple(bytes(values[index]) for index in range(count))


def _tasks(raw: Any) -> Done:
    tasks = []
    for index in range(raw.count):
        item = raw.items[index].contents
        labels = (label.decode("utf-8", "replace").partition("=") for label in _strings(item.labels, item.label_count))
        tasks.append(
            Task(
                id=text(item.id),
                state=_name(VmState, item.state),
                reason=text(item.reason),
                environment=text(item.environment),
                labels={name: value for name, _, value in labels},
                engine=_name(Engine, item.engine) if item.engine else "",
                vcpu_count=item.vcpu_count,
                mem_mib=item.mem_mib,
                disk_mib=item.disk_mib,
                command_count=item.command_count,
                created_at=item.created_at,
                started_at=item.started_at,
                expires_at=item.expires_at,
                disk_used_bytes=item.disk_used_bytes,
                host_memory_bytes=item.host_memory_bytes,
                host_cpu_time_ms=item.host_cpu_time_ms,
                running_commands=item.running_commands,
                uptime_ms=item.uptime_ms,
                cpu_time_ms=item.cpu_time_ms,
            )
        )
    return Done(tasks=tuple(tasks), details=_details(raw.json))


def _commands(raw: Any) -> Done:
    commands = []
    for index in range(raw.count):
        item = raw.items[index].contents
        commands.append(
            CommandRecord(
                number=item.number,
                running=bool(item.running),
                argv=_strings(item.argv, item.argc),
                argv_truncated=bool(item.argv_truncated),
                cwd=text(item.cwd),
                user=text(item.user),
                env_names=tuple(name.decode("utf-8", "replace") for name in _strings(item.env_names, item.env_count)),
                pty=bool(item.pty),
                started_at_ns=item.started_at_ns,
                exit_code=item.exit_code,
                term_signal=item.term_signal,
                timed_out=bool(item.timed_out),
                oom_killed=bool(item.oom_killed),
                message=text(item.message),
                duration_ms=item.duration_ms,
                cpu_time_ms=item.cpu_time_ms,
                memory_peak_bytes=item.memory_peak_bytes,
                stdout_total_bytes=item.stdout_total_bytes,
                stderr_total_bytes=item.stderr_total_bytes,
                stdout=ctypes.string_at(item.stdout_data, item.stdout_size) if item.stdout_data else b"",
                stderr=ctypes.string_at(item.stderr_data, item.stderr_size) if item.stderr_data else b"",
                stdout_truncated=bool(item.stdout_truncated),
                stderr_truncated=bool(item.stderr_truncated),
            )
        )
    return Done(commands=tuple(commands), details=_details(raw.json))


def _files(raw: Any) -> Done:
    files = []
    for index in range(raw.count):
        item = raw.items[index].contents
        files.append(
            FileInfo(
                path=os.fsdecode(item.path),
                type="file" if item.type == FileType.REGULAR else _name(FileType, item.type),
                mode=item.mode,
                size_bytes=item.size_bytes,
                mtime_ns=item.mtime_ns,
                uid=item.uid,
                gid=item.gid,
                target=os.fsdecode(item.target),
                change=_name(FileChange, item.change) if item.change else "",
            )
        )
    return Done(
        files=tuple(files),
        truncated=bool(raw.truncated),
        file_size_bytes=raw.file_size_bytes,
        transfer=Transfer(raw.entry_count, raw.byte_count, raw.skipped_count, raw.changed_count),
        details=_details(raw.json),
    )


def read_event(raw: Any) -> Optional[Event]:
    """A copy of a pyro_event; None for a kind of a newer library. ERROR is the caller's."""
    kind = raw.kind
    if kind == EventKind.STDOUT:
        return Stdout(ctypes.string_at(raw.data, raw.size), raw.command_number)
    if kind == EventKind.STDERR:
        return Stderr(ctypes.string_at(raw.data, raw.size), raw.command_number)
    if kind == EventKind.PROGRESS:
        return Progress(text(raw.stage), text(raw.message), raw.done, raw.total)
    if kind == EventKind.STARTED:
        return Started(text(raw.vm_id), raw.command_number, bool(raw.pty), bool(raw.stdin_open))
    if kind == EventKind.EXIT:
        return Exit(_result(raw.result.contents))
    if kind == EventKind.DONE:
        for part, read in (
            (raw.environments, _environments),
            (raw.doctor, _doctor),
            (raw.vms, _tasks),
            (raw.commands, _commands),
            (raw.files, _files),
        ):
            if part:
                return read(part.contents)
        return Done()
    return None
