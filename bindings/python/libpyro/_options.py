"""Arguments of Python as option structs of the C ABI.

The ranges are the library's to check. What is checked here is what it could not see: zero and
negative numbers (zero is "the default" in C, and ctypes would wrap the others), and text that does
not survive as a C string.
"""
from __future__ import annotations

import ctypes
import math
import operator
import os
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

from ._bindings import (
    PYRO_NO_TIMEOUT,
    Engine,
    StdinMode,
    VmState,
    pyro_attach_options,
    pyro_env_options,
    pyro_exec_options,
    pyro_logs_options,
    pyro_run_options,
    pyro_task_options,
    pyro_task_query,
)
from ._errors import invalid

#: Text, bytes or a path. Text is encoded as for the file system, so that what os.fsdecode() made of
#: invalid UTF-8 becomes the same bytes again.
Text = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Command = Union[str, bytes, Sequence[Text]]
Variables = Mapping[Union[str, bytes], Union[str, bytes]]

#: As `stdin`: input comes from Operation.write_stdin() and ends with close_stdin().
STREAM = StdinMode.STREAM

UINT32_MAX = 0xFFFFFFFF
UINT64_MAX = 0xFFFFFFFFFFFFFFFF


def encode(name: str, value: Text) -> bytes:
    """A C string."""
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise invalid(f"{name} contains a NUL character, which no command line, variable or path can hold")
    return encoded


def encode_optional(name: str, value: Optional[Text]) -> Optional[bytes]:
    return None if value is None else encode(name, value)


def input_bytes(value: Union[bytes, bytearray, memoryview, str]) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)


def in_range(name: str, value: int, largest: int = UINT32_MAX) -> int:
    number = operator.index(value)
    if not 1 <= number <= largest:
        raise invalid(f"{name} is {number}: it must be 1 to {largest}")
    return number


def seconds(name: str, value: Optional[float], none: float) -> float:
    if value is None:
        return none
    number = float(value)
    if not (number > 0 and math.isfinite(number)):
        raise invalid(f"{name} is {number}: it must be more than 0")
    return number


def engine_value(value: Union[str, Engine]) -> int:
    if isinstance(value, Engine):
        return value
    names = [member.name.lower() for member in Engine]
    if value not in names:
        raise invalid(f"engine is {value!r}: it must be one of {', '.join(names)}")
    return Engine[value.upper()]


def string_array(values: List[bytes]) -> Any:
    """A char **; NULL if there is nothing in it."""
    return (ctypes.c_char_p * len(values))(*values) if values else None


def encode_variables(env: Optional[Variables]) -> List[bytes]:
    encoded = []
    for name, value in (env or {}).items():
        key = encode("a name in env", name)
        if not key or b"=" in key:
            raise invalid(f"env has the name {name!r}: a name must not be empty or contain '='")
        encoded.append(key + b"=" + encode(f"env[{name!r}]", value))
    return encoded


def encode_command(command: Command) -> Tuple[Optional[bytes], List[bytes]]:
    """(command, argv): text is for the shell, a sequence is executed as it is."""
    if isinstance(command, (str, bytes)):
        return encode("command", command), []
    argv = [encode(f"command[{index}]", value) for index, value in enumerate(command)]
    if not argv:
        raise invalid("command is an empty sequence: give a program, or text for /bin/sh -c")
    return None, argv


class _CommandFields:
    """The fields that say what to run, which pyro_run_options and pyro_exec_options share."""

    def __init__(
        self,
        command: Command,
        *,
        timeout_seconds: Optional[float],
        cwd: Optional[Text],
        env: Optional[Variables],
        user: Optional[str],
        stdin: Union[bytes, str, None, StdinMode],
        output_limit_bytes: Optional[int],
        pty: bool,
        pty_rows: int,
        pty_columns: int,
    ) -> None:
        if output_limit_bytes is not None and not 0 <= output_limit_bytes <= UINT64_MAX:
            raise invalid(f"output_limit_bytes is {output_limit_bytes}: it must be 0 or more; None keeps all")
        shell, argv = encode_command(command)
        variables = encode_variables(env)
        stream = isinstance(stdin, StdinMode) and stdin == StdinMode.STREAM
        # ctypes keeps what it is given as a string or an array alive, but not what it is given as an address.
        self.stdin = b"" if stdin is None or isinstance(stdin, StdinMode) else input_bytes(stdin)
        self.fields = {
            "command": shell,
            "argv": string_array(argv),
            "argc": len(argv),
            "env": string_array(variables),
            "env_count": len(variables),
            "cwd": encode_optional("cwd", cwd),
            "user": encode_optional("user", user),
            "stdin_data": ctypes.cast(ctypes.c_char_p(self.stdin), ctypes.c_void_p),
            "stdin_size": len(self.stdin),
            "stdin_mode": StdinMode.STREAM if stream else StdinMode.DATA,
            "pty": 1 if pty else 0,
            "pty_rows": in_range("pty_rows", pty_rows),
            "pty_columns": in_range("pty_columns", pty_columns),
            "timeout_seconds": seconds("timeout_seconds", timeout_seconds, PYRO_NO_TIMEOUT),
            # Zero would be the default; the events of an operation carry all output in any case.
            "output_limit_bytes": UINT64_MAX if output_limit_bytes is None else max(1, output_limit_bytes),
        }


class RunOptions:
    """A pyro_run_options and the memory that it points to."""

    def __init__(
        self,
        environment: str,
        command: Command,
        *,
        vcpu_count: int,
        mem_mib: int,
        disk_mib: int,
        boot_timeout_seconds: float,
        max_lifetime_seconds: float,
        network: bool,
        engine: Union[str, Engine],
        output_limit_bytes: Optional[int],
        **what: Any,
    ) -> None:
        #: None: all. Kept here because results are made from events.
        self.output_limit_bytes = output_limit_bytes
        self._command = _CommandFields(command, output_limit_bytes=output_limit_bytes, **what)
        self.struct = pyro_run_options(
            struct_size=ctypes.sizeof(pyro_run_options),
            engine=engine_value(engine),
            environment=encode("environment", environment),
            vcpu_count=in_range("vcpu_count", vcpu_count),
            mem_mib=in_range("mem_mib", mem_mib),
            disk_mib=in_range("disk_mib", disk_mib),
            network=1 if network else 0,
            boot_timeout_seconds=seconds("boot_timeout_seconds", boot_timeout_seconds, 0.0),
            max_lifetime_seconds=seconds("max_lifetime_seconds", max_lifetime_seconds or None, 0.0),
            **self._command.fields,
        )


class ExecOptions:
    """A pyro_exec_options and the memory that it points to."""

    def __init__(
        self,
        task_id: str,
        command: Command,
        *,
        detach: bool,
        output_limit_bytes: Optional[int],
        keep_stdin: bool = False,
        **what: Any,
    ) -> None:
        self.output_limit_bytes = output_limit_bytes
        self._command = _CommandFields(command, output_limit_bytes=output_limit_bytes, **what)
        self.struct = pyro_exec_options(
            struct_size=ctypes.sizeof(pyro_exec_options),
            detach=1 if detach else 0,
            task_id=encode("task_id", task_id),
            keep_stdin=1 if keep_stdin else 0,
            **self._command.fields,
        )


def attach_options(
    task_id: str,
    command_number: int,
    *,
    stdin: Optional[StdinMode],
    tail_bytes: Optional[int],
    pty_rows: Optional[int],
    pty_columns: Optional[int],
) -> pyro_attach_options:
    """A pyro_attach_options."""
    return pyro_attach_options(
        struct_size=ctypes.sizeof(pyro_attach_options),
        stdin_mode=StdinMode.DATA if stdin is None else StdinMode(stdin),
        task_id=encode("task_id", task_id),
        command_number=in_range("command_number", command_number, UINT64_MAX),
        pty_rows=0 if pty_rows is None else in_range("pty_rows", pty_rows),
        pty_columns=0 if pty_columns is None else in_range("pty_columns", pty_columns),
        tail_bytes=UINT64_MAX if tail_bytes is None else in_range("tail_bytes", tail_bytes, UINT64_MAX),
    )


def encode_labels(labels: Optional[Mapping[str, str]]) -> List[bytes]:
    encoded = []
    for name, value in (labels or {}).items():
        if not name or "=" in name:
            raise invalid(f"labels has the name {name!r}: a name must not be empty or contain '='")
        encoded.append(encode("labels", f"{name}={value}"))
    return encoded


def task_options(
    environment: str,
    labels: Optional[Mapping[str, str]],
    *,
    vcpu_count: int,
    mem_mib: int,
    disk_mib: int,
    boot_timeout_seconds: float,
    ttl_seconds: Optional[float],
    max_lifetime_seconds: float,
    retention_seconds: Optional[float],
    network: bool,
    engine: Union[str, Engine],
    seed: Optional[Text] = None,
) -> pyro_task_options:
    """A pyro_task_options; its strings live as long as it does."""
    encoded = encode_labels(labels)
    return pyro_task_options(
        struct_size=ctypes.sizeof(pyro_task_options),
        engine=engine_value(engine),
        environment=encode("environment", environment),
        vcpu_count=in_range("vcpu_count", vcpu_count),
        mem_mib=in_range("mem_mib", mem_mib),
        disk_mib=in_range("disk_mib", disk_mib),
        network=1 if network else 0,
        labels=string_array(encoded),
        label_count=len(encoded),
        boot_timeout_seconds=seconds("boot_timeout_seconds", boot_timeout_seconds, 0.0),
        ttl_seconds=seconds("ttl_seconds", ttl_seconds, PYRO_NO_TIMEOUT),
        max_lifetime_seconds=seconds("max_lifetime_seconds", max_lifetime_seconds or None, 0.0),
        retention_seconds=seconds("retention_seconds", retention_seconds, PYRO_NO_TIMEOUT),
        seed=encode_optional("seed", seed),
    )


def task_query(
    task_id: Optional[str] = None,
    labels: Optional[Mapping[str, str]] = None,
    states: Sequence[str] = (),
    ttl_seconds: float = 0.0,
) -> pyro_task_query:
    """A pyro_task_query; its strings live as long as it does."""
    encoded = encode_labels(labels)
    mask = 0
    for state in states:
        names = [member.name.lower() for member in VmState]
        if state not in names:
            raise invalid(f"states has {state!r}: it must be one of {', '.join(names)}")
        mask |= 1 << VmState[state.upper()]
    return pyro_task_query(
        struct_size=ctypes.sizeof(pyro_task_query),
        task_id=encode_optional("task_id", task_id),
        labels=string_array(encoded),
        label_count=len(encoded),
        state_mask=mask,
        ttl_seconds=ttl_seconds,
    )


def logs_options(
    task_id: str,
    command_number: Optional[int],
    mode: int,
    *,
    command_limit: Optional[int] = None,
    output_limit_bytes: Optional[int] = None,
) -> pyro_logs_options:
    """A pyro_logs_options."""
    return pyro_logs_options(
        struct_size=ctypes.sizeof(pyro_logs_options),
        mode=mode,
        task_id=encode("task_id", task_id),
        command_number=0 if command_number is None else in_range("command_number", command_number, UINT64_MAX),
        command_limit=UINT64_MAX if command_limit is None else in_range("command_limit", command_limit, UINT64_MAX),
        output_limit_bytes=UINT64_MAX
        if output_limit_bytes is None
        else in_range("output_limit_bytes", output_limit_bytes, UINT64_MAX),
    )


def env_options(
    name: Optional[str] = None,
    path: Optional[Text] = None,
    *,
    verify: bool = False,
    force: bool = False,
    everything: bool = False,
) -> pyro_env_options:
    """A pyro_env_options; its strings live as long as it does."""
    return pyro_env_options(
        struct_size=ctypes.sizeof(pyro_env_options),
        verify=1 if verify else 0,
        force=1 if force else 0,
        all=1 if everything else 0,
        name=encode_optional("name", name),
        path=None if path is None else encode("path", os.path.abspath(os.fsencode(path))),
    )
