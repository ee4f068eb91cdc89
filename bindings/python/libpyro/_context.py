"""A pyro_context that several threads share, and its log."""
from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import threading
import weakref
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

from ._bindings import Functions, LogLevel, Status, pyro_context, pyro_log_record, pyro_open_options
from ._errors import ErrorSlot, StateError, closed, forked, invalid, text
from ._options import UINT64_MAX, Text, encode_optional

LOGGER = logging.getLogger("libpyro")

_LEVELS: Dict[int, int] = {
    LogLevel.ERROR: logging.ERROR,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.INFO: logging.INFO,
    LogLevel.DEBUG: logging.DEBUG,
}


def log_level_value(level: Union[str, LogLevel, None]) -> LogLevel:
    """None is what the logger "libpyro" lets through now."""
    if isinstance(level, LogLevel):
        return level
    if level is not None:
        if level.upper() not in LogLevel.__members__:
            names = ", ".join(member.name.lower() for member in LogLevel)
            raise invalid(f"log_level is {level!r}: it must be one of {names}")
        return LogLevel[level.upper()]
    wanted = [ours for ours, theirs in _LEVELS.items() if LOGGER.isEnabledFor(theirs)]
    return LogLevel(max(wanted, default=LogLevel.OFF))


class Caps(NamedTuple):
    """For all VMs of the home folder together; 0: the default, None: no cap."""

    max_vms: Optional[int] = 0
    max_mem_mib: Optional[int] = 0
    disk_reserve_mib: Optional[int] = 0
    mem_overcommit: float = 0

    @staticmethod
    def c_value(name: str, value: Optional[int]) -> int:
        """As the C ABI has it."""
        if value is None:
            return UINT64_MAX
        if not 0 <= value < UINT64_MAX:
            raise invalid(f"{name} is {value}: it must be 0 or more, or None")
        return value


class Context:
    """A pyro_context: closed when it was asked to and the last call that uses it has returned."""

    def __init__(
        self,
        library: Functions,
        home: Optional[Text],
        libexec: Optional[Text],
        log_level: Union[str, LogLevel, None],
        caps: Caps = Caps(),
        cgroup: Optional[Text] = None,
    ) -> None:
        self.library = library
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._log_lock = threading.Lock()
        self._users = 0
        self._closed = False
        self._handle = ctypes.POINTER(pyro_context)()
        self._finalizer = weakref.finalize(self, library.pyro_close, ctypes.byref(self._handle))
        options = pyro_open_options(
            struct_size=ctypes.sizeof(pyro_open_options),
            log_level=log_level_value(log_level),
            home=encode_optional("home", home),
            libexec=encode_optional("libexec", libexec),
            max_vms=Caps.c_value("max_vms", caps.max_vms),
            max_mem_mib=Caps.c_value("max_mem_mib", caps.max_mem_mib),
            disk_reserve_mib=Caps.c_value("disk_reserve_mib", caps.disk_reserve_mib),
            mem_overcommit=caps.mem_overcommit,
            cgroup=encode_optional("cgroup", cgroup),
        )
        slot = ErrorSlot(library)
        slot.check(library.pyro_open(ctypes.byref(options), ctypes.byref(self._handle), slot.out))

    @contextlib.contextmanager
    def borrow(self) -> Iterator[Any]:
        """The handle, which stays open until the block is left."""
        if os.getpid() != self._pid:
            raise forked("Pyro")
        with self._lock:
            if self._closed:
                raise closed("Pyro")
            self._users += 1
        try:
            yield self._handle
        finally:
            with self._lock:
                self._users -= 1
                self._end_if_unused()

    def close(self) -> None:
        if os.getpid() != self._pid:
            self._finalizer()  # no thread of the child can be using it
            return
        self.drain_log()
        with self._lock:
            self._closed = True
            self._end_if_unused()

    def _end_if_unused(self) -> None:
        if self._closed and self._users == 0:
            self._finalizer()

    def drain_log(self) -> None:
        """Hands what the library has remembered to `logging`."""
        if self._closed or os.getpid() != self._pid:
            return
        try:
            with self.borrow() as handle:
                records = self._take_log(handle)
        except StateError:  # closed by another thread
            return
        # Outside of the lock: handlers may call anything.
        for level, time_ns, room, message in records:
            if LOGGER.isEnabledFor(level):
                record = LOGGER.makeRecord(
                    LOGGER.name, level, "libpyro", 0, f"{room}: {message}", (), None, extra={"room": room}
                )
                record.created = time_ns / 1e9
                record.msecs = time_ns // 1_000_000 % 1000
                LOGGER.handle(record)

    def _take_log(self, handle: Any) -> List[Tuple[int, int, str, str]]:
        records = []
        raw = pyro_log_record(struct_size=ctypes.sizeof(pyro_log_record))
        with self._log_lock:  # the strings are borrowed until the next call
            while self.library.pyro_log_next(handle, ctypes.byref(raw)) == Status.OK:
                level = _LEVELS.get(raw.level, logging.DEBUG)
                records.append((level, raw.time_ns, text(raw.room), text(raw.message)))
        return records
