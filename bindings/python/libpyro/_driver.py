"""Drives one pyro_op for any number of Python threads, or for the tasks of one event loop.

The library wants one thread at a time in an operation, and its descriptor is readable only until
somebody has dealt with the reason. So one participant at a time, the driver, waits for the descriptor
and takes events from the library into a queue; all others wait to be told that something changed.
Nobody can sleep through a wake-up that another has consumed. Under asyncio the driver is the event
loop's reader callback, and tasks are the ones who are told.

Calls into the library are made under the lock of `_changed` and never wait. The waiting is done in
poll() and without the lock, so that a signal such as Ctrl-C interrupts it at once.
"""
from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import select
import threading
import time
import warnings
import weakref
from collections import deque
from typing import Any, Callable, Deque, Iterator, List, Optional, TypeVar, Union, cast

from ._bindings import EventKind, Functions, Status, pyro_event, pyro_op
from ._errors import ErrorSlot, LimitError, PyroError, StateError, closed, forked, read_error
from ._types import Done, Event, Exit, Stderr, Stdout, read_event

T = TypeVar("T")

#: How much output is queued while somebody writes input and nobody takes events. A guest that prints
#: without end must not fill the host's memory.
BACKLOG_BYTES = 16 * 1024 * 1024

#: Input handed to the library at a time. It takes 256 KiB at most; more would only be copied in vain.
WRITE_BYTES = 256 * 1024

_LAST = (EventKind.EXIT, EventKind.ERROR, EventKind.DONE)


class Over:
    """What `take` gives when the last event was taken before."""


OVER = Over()

#: What _pop_or_room gives when there may be room for input.
ROOM = object()

#: What the queue gives: an event, what the operation failed with, or the end.
Item = Union[Event, PyroError, Over]


class _Handle:
    """What must outlive a Driver that was dropped: the operation, to end it."""

    def __init__(self, library: Functions) -> None:
        self.op = ctypes.POINTER(pyro_op)()
        self.pid = os.getpid()
        self.over = False
        #: How many calls into the library, one in another, are under way.
        self.depth = 0
        self._library = library

    @property
    def forked(self) -> bool:
        return os.getpid() != self.pid

    def destroy(self) -> None:
        # A child whose parent forked in the middle of a call has half a change in its copy: leave it.
        if not (self.forked and self.depth):
            self._library.pyro_op_destroy(ctypes.byref(self.op))

    def destroy_forgotten(self) -> None:
        if self.op and not self.over and not self.forked:
            warnings.warn("a libpyro operation was dropped without close(): use `with`", ResourceWarning, stacklevel=2)
        self.destroy()


class Driver:
    """One operation. `start` is called with where to put the handle and the error, and gives a status."""

    def __init__(self, library: Functions, start: Callable[[Any, Any], int]) -> None:
        self._library = library
        self._changed = threading.Condition()
        self._queue: Deque[Union[Event, PyroError]] = deque()
        self._backlog_bytes = 0
        #: Input was left over by try_write(), and something has happened since that may have made room.
        self._wants_input = False
        self._may_have_room = False
        #: The last event is in the queue, or was taken.
        self._over = False
        #: The last event or the failure, once it was taken.
        self.last: Union[Exit, Done, PyroError, None] = None
        self._closed = False
        self._driving_thread: Optional[int] = None
        self._reader: object = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._loop_thread = 0
        self._waiters: List[asyncio.Future[None]] = []
        # Registered before the call, so that an exception between the two (Ctrl-C) leaks nothing.
        self._handle = _Handle(library)
        self._finalizer = weakref.finalize(self, self._handle.destroy_forgotten)
        slot = ErrorSlot(library)
        slot.check(start(ctypes.byref(self._handle.op), slot.out))
        self._fd = library.pyro_op_fd(self._handle.op)

    # -- for anybody: short calls, none of which waits

    def fileno(self) -> int:
        with self._entered():
            return self._fd

    def write_some(self, data: Any) -> int:
        """Hands over what fits now; 0 if nothing does."""
        part = bytes(data[:WRITE_BYTES])
        accepted = ctypes.c_size_t(0)
        self.call(
            lambda op, error: self._library.pyro_op_write_stdin(op, part, len(part), ctypes.byref(accepted), error)
        )
        return accepted.value

    def try_write(self, data: Any) -> int:
        """write_some() for a caller who is told by take_or_room() when to try the rest."""
        accepted = 0
        part = WRITE_BYTES
        while part == WRITE_BYTES and accepted < len(data):
            part = self.write_some(data[accepted:])
            accepted += part
        self._wants_input = accepted < len(data)
        return accepted

    def call(self, function: Callable[[Any, Any], int]) -> None:
        """Calls one of the functions that act on the operation."""
        with self._entered():
            slot = ErrorSlot(self._library)
            slot.check(function(self._handle.op, slot.out))

    def close(self) -> None:
        """Ends the operation and wakes whoever waits for it."""
        if self._handle.forked:
            self._closed = True
            self._finalizer.detach()
            self._handle.destroy()  # without the lock: another thread may have held it at fork()
            return
        if self._loop is not None and self._loop_thread != threading.get_ident():
            self._loop.call_soon_threadsafe(self.close)
            return
        with self._changed:
            if self._handle.op and not self._closed:
                self._closed = True
                self._library.pyro_op_cancel(self._handle.op, None)  # makes the descriptor readable
                self._changed.notify_all()
            while self._driving_thread not in (None, threading.get_ident()):
                self._changed.wait()
            self._wake_tasks()
            self._disarm()
            self._destroy_if_unused()

    @property
    def closed(self) -> bool:
        return self._closed

    # -- for threads

    def take(self, deadline: Optional[float]) -> Optional[Item]:
        """The next event; what the operation failed with; None if the deadline (time.monotonic) passed."""
        self._reader = threading.get_ident()
        return cast(Optional[Item], self._until(self._pop, deadline))

    def take_or_room(self, deadline: Optional[float]) -> Optional[Item]:
        """take(), or None when there may be room for what try_write() left over."""
        self._reader = threading.get_ident()
        item = self._until(self._pop_or_room, deadline)
        return None if item is ROOM else cast(Optional[Item], item)

    def write(self, data: Any, deadline: Optional[float]) -> int:
        """Hands over a part of `data`, at least a byte; 0 if the deadline passed."""
        return self._until(lambda: self._write_or_none(data, threading.get_ident()), deadline) or 0

    # -- for tasks of one event loop

    async def take_async(self) -> Item:
        self._reader = asyncio.current_task()
        return await self._until_async(self._pop)

    async def write_async(self, data: Any) -> int:
        return await self._until_async(lambda: self._write_or_none(data, asyncio.current_task()))

    # -- inside

    def _destroy_if_unused(self) -> None:
        # A signal handler may close the operation in the middle of a call or a wait of its own thread,
        # which then ends it on its way out.
        if self._closed and self._handle.depth == 0 and self._driving_thread is None:
            self._finalizer.detach()
            self._handle.destroy()

    @contextlib.contextmanager
    def _entered(self) -> Iterator[None]:
        """Under the lock, with an open handle."""
        if self._handle.forked:
            raise forked("operation")  # before the lock: another thread may have held it at fork()
        with self._changed:
            if self._closed:
                raise closed("operation")
            self._handle.depth += 1
            try:
                yield
            finally:
                self._handle.depth -= 1
                self._destroy_if_unused()

    def _pop(self) -> Optional[Item]:
        if not self._queue:
            return OVER if self._over else None
        item = self._queue.popleft()
        if isinstance(item, (Stdout, Stderr)):
            if self._backlog_bytes >= BACKLOG_BYTES:
                self._changed.notify_all()
                self._wake_tasks()
            self._backlog_bytes -= len(item.data)
        elif isinstance(item, (Exit, Done, PyroError)):
            self.last = item
        return item

    def _pop_or_room(self) -> object:
        item = self._pop()
        if item is None and self._wants_input and self._may_have_room:
            self._may_have_room = False
            return ROOM
        return item

    def _write_or_none(self, data: Any, writer: object) -> Optional[int]:
        accepted = self.write_some(data)
        if accepted == 0 and self._backlog_bytes >= BACKLOG_BYTES and self._reader in (None, writer):
            raise LimitError(
                Status.ERROR_LIMIT,
                f"the command printed {BACKLOG_BYTES >> 20} MiB while it was not reading its input: take the events"
                " in another thread or task, or between writes with try_write_stdin()",
            )
        return accepted or None

    def _pump(self) -> None:
        """Takes an event from the library into the queue, if there is one."""
        with self._entered():
            if self._over:
                return
            raw = pyro_event(struct_size=ctypes.sizeof(pyro_event))
            slot = ErrorSlot(self._library)
            status = self._library.pyro_op_next(self._handle.op, 0, ctypes.byref(raw), slot.out)
            slot.check(status)
            if status == Status.AGAIN:
                self._may_have_room = True
                return
            item = None
            if status == Status.OK:
                item = read_error(self._library, raw.error) if raw.kind == EventKind.ERROR else read_event(raw)
            if item is not None:
                self._queue.append(item)
            if isinstance(item, (Stdout, Stderr)):
                self._backlog_bytes += len(item.data)
            if status == Status.END or raw.kind in _LAST:
                self._over = self._handle.over = True

    def _until(self, attempt: Callable[[], Optional[T]], deadline: Optional[float]) -> Optional[T]:
        """Calls `attempt` under the lock until it gives something, and drives or waits in between."""
        me = threading.get_ident()
        waited = False
        while True:
            lead = False
            try:
                with self._entered():
                    value = attempt()
                    if value is not None:
                        return value
                    left = None if deadline is None else max(0.0, deadline - time.monotonic())
                    if waited and left == 0.0:
                        return None
                    if self._loop is not None:
                        raise StateError(Status.ERROR_STATE, "an event loop waits for this operation: await it there")
                    if self._driving_thread is None and self._backlog_bytes < BACKLOG_BYTES:
                        lead = True
                        self._driving_thread = me
                    else:
                        self._wait_for_change(left)
                # In this order: a pump that gives no event may still have made room for input, so
                # `attempt` must come between it and the next wait.
                if lead and _wait_readable(self._fd, left):
                    self._pump()
                waited = True
            finally:
                if lead:
                    with self._changed:
                        self._driving_thread = None
                        self._changed.notify_all()
                        self._destroy_if_unused()

    def _wait_for_change(self, seconds: Optional[float]) -> None:
        self._handle.depth -= 1  # nothing is under way while the lock is given up
        try:
            self._changed.wait(seconds)
        finally:
            self._handle.depth += 1

    async def _until_async(self, attempt: Callable[[], Optional[T]]) -> T:
        while True:
            with self._entered():
                value = attempt()
                if value is not None:
                    return value
                if self._driving_thread is not None:
                    raise StateError(Status.ERROR_STATE, "a thread waits for this operation: use it there")
                self._arm(asyncio.get_running_loop())
                waiter = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)
                if not self._waiters:
                    self._disarm()

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is None:
            self._loop, self._loop_thread = loop, threading.get_ident()
        elif self._loop is not loop:
            raise StateError(Status.ERROR_STATE, "another event loop waits for this operation: await it there")
        if self._backlog_bytes < BACKLOG_BYTES:
            loop.add_reader(self._fd, self._on_readable)
        else:
            loop.remove_reader(self._fd)  # until somebody takes an event

    def _disarm(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._fd)

    def _on_readable(self) -> None:
        try:
            self._pump()
        except Exception as error:  # into the tasks, which can act on it
            self._wake_tasks(error)
        else:
            self._wake_tasks()

    def _wake_tasks(self, error: Optional[Exception] = None) -> None:
        for waiter in self._waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)


def _wait_readable(fd: int, seconds: Optional[float]) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(None if seconds is None else seconds * 1000))
