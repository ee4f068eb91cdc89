"""Run commands that nobody has read in microVMs.

    from libpyro import Pyro

    with Pyro() as pyro:
        result = pyro.run_in_vm("debian:12", "uname -a")
        print(result.exit_code, result.stdout_text)

A command that fails is a result. What libpyro itself cannot do is a PyroError, one class per group.
Streaming: Pyro.start_run_in_vm(). asyncio: Pyro.run_in_vm_async(), and `async for` over an Operation.
"""
from __future__ import annotations

import logging

from ._bindings import PYRO_VERSION_STRING as __version__
from ._bindings import Engine, LogLevel, Status
from ._errors import (
    BootError,
    BrokenEnvironmentError,
    CancelledError,
    ExistsError,
    ForkedError,
    InternalError,
    InvalidError,
    LimitError,
    NotFoundError,
    NotStartedError,
    OperationTimeoutError,
    OutcomeUnknownError,
    PyroError,
    StateError,
    UnsupportedError,
    VmLostError,
)
from ._library import feature, version
from ._operation import Operation
from ._options import STREAM
from ._pyro import Pyro
from ._types import (
    Check,
    CommandRecord,
    DoctorReport,
    Done,
    Environment,
    Event,
    Exit,
    FileContent,
    FileInfo,
    FileList,
    Progress,
    PruneReport,
    Result,
    Started,
    Stderr,
    Stdout,
    Task,
    Transfer,
)

__all__ = [
    "BootError",
    "BrokenEnvironmentError",
    "CancelledError",
    "Check",
    "CommandRecord",
    "DoctorReport",
    "Done",
    "Engine",
    "Environment",
    "Event",
    "ExistsError",
    "Exit",
    "FileContent",
    "FileInfo",
    "FileList",
    "ForkedError",
    "InternalError",
    "InvalidError",
    "LimitError",
    "LogLevel",
    "NotFoundError",
    "NotStartedError",
    "Operation",
    "OperationTimeoutError",
    "OutcomeUnknownError",
    "Progress",
    "PruneReport",
    "Pyro",
    "PyroError",
    "Result",
    "STREAM",
    "Started",
    "StateError",
    "Status",
    "Stderr",
    "Stdout",
    "Task",
    "Transfer",
    "UnsupportedError",
    "VmLostError",
    "__version__",
    "feature",
    "version",
]

# A library does not write to stderr on its own: who wants the log adds a handler.
logging.getLogger("libpyro").addHandler(logging.NullHandler())
