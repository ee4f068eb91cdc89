"""What operations give: events, results, environments, the report on the host. All immutable."""
from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Mapping, Optional, Tuple, Type, Union

from ._bindings import CheckStatus, Engine, EventKind, KvmState, StartKind
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


@dataclass(frozen=True)
class Stdout:
    """Bytes from the command."""

    data: bytes


@dataclass(frozen=True)
class Stderr:
    """Bytes from the command."""

    data: bytes


@dataclass(frozen=True)
class Exit:
    """Last event of a command. The output came as events: `result` has none."""

    result: Result


@dataclass(frozen=True)
class Done:
    """Last event of an operation that runs no command."""

    environments: Tuple[Environment, ...] = ()
    report: Optional[DoctorReport] = None
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


def read_event(raw: Any) -> Optional[Event]:
    """A copy of a pyro_event; None for a kind of a newer library. ERROR is the caller's."""
    kind = raw.kind
    if kind == EventKind.STDOUT:
        return Stdout(ctypes.string_at(raw.data, raw.size))
    if kind == EventKind.STDERR:
        return Stderr(ctypes.string_at(raw.data, raw.size))
    if kind == EventKind.PROGRESS:
        return Progress(text(raw.stage), text(raw.message), raw.done, raw.total)
    if kind == EventKind.STARTED:
        return Started(text(raw.vm_id))
    if kind == EventKind.EXIT:
        return Exit(_result(raw.result.contents))
    if kind == EventKind.DONE:
        return _environments(raw.environments.contents) if raw.environments else (
            _doctor(raw.doctor.contents) if raw.doctor else Done()
        )
    return None
