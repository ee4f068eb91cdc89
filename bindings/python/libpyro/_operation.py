"""A command, a build or another call that is under way, piece by piece."""
from __future__ import annotations

import asyncio
import dataclasses
import time
from types import TracebackType
from typing import Any, Callable, Generic, List, Optional, Type, TypeVar, Union

from ._bindings import Functions, Status
from ._driver import Driver, Item, Over
from ._errors import InternalError, PyroError
from ._options import in_range, input_bytes
from ._types import Done, Event, Exit, Progress, Result, Stderr, Stdout

T = TypeVar("T")

#: Input of a command; text is sent as UTF-8.
Input = Union[bytes, bytearray, memoryview, str]

#: How long close_async() lets a cancelled operation end on its own, as pyro_op_destroy() does.
CLOSE_SECONDS = 2.0


class _Output:
    """One stream of a result: the first `limit` bytes are kept (all if None)."""

    def __init__(self, limit: Optional[int]) -> None:
        self._parts: List[bytes] = []
        self._limit = limit
        self._size = 0
        self.truncated = False

    def add(self, data: bytes) -> None:
        kept = data if self._limit is None else data[: self._limit - self._size]
        self.truncated = self.truncated or len(kept) < len(data)
        self._size += len(kept)
        if kept:
            self._parts.append(kept)

    def bytes(self) -> bytes:
        return b"".join(self._parts)


class _Collector:
    """Makes a Result of the events of a command."""

    def __init__(self, limit: Optional[int], progress: Optional[Callable[[Progress], None]]) -> None:
        self._stdout = _Output(limit)
        self._stderr = _Output(limit)
        self._progress = progress

    def add(self, event: Event) -> None:
        if isinstance(event, Stdout):
            self._stdout.add(event.data)
        elif isinstance(event, Stderr):
            self._stderr.add(event.data)
        elif isinstance(event, Progress) and self._progress is not None:
            self._progress(event)

    def last(self, event: Union[Exit, Done]) -> Union[Result, Done]:
        if isinstance(event, Done):
            return event
        return dataclasses.replace(
            event.result,
            stdout=self._stdout.bytes(),
            stderr=self._stderr.bytes(),
            stdout_truncated=self._stdout.truncated,
            stderr_truncated=self._stderr.truncated,
        )


class Operation(Generic[T]):
    """Something under way; `T` is what it gives in the end.

    Take its events one by one, `for event in operation` or `async for event in operation`, or have
    them collected by wait() or wait_async(). It fails by raising a PyroError from there. Use it in a
    `with` or `async with`: leaving it ends the operation and destroys its VM, whatever the reason.

    Any thread may call any method, and several may wait at once; each event goes to one of them. The
    same holds for the tasks of one event loop. Threads and tasks must not wait at the same time.
    Who takes no events makes the command wait once 256 KiB of its output are under way.
    """

    def __init__(
        self,
        library: Functions,
        start: Callable[[Any, Any], int],
        finish: Callable[[Union[Result, Done]], T],
        on_end: Callable[[], None],
        output_limit_bytes: Optional[int] = None,
    ) -> None:
        self._library = library
        self._finish = finish
        self._on_end = on_end
        self._output_limit_bytes = output_limit_bytes
        self._driver = Driver(library, start)

    # -- taking events

    def __iter__(self) -> Operation[T]:
        return self

    def __next__(self) -> Event:
        event = None
        while event is None:
            if self._driver.last is not None:
                raise StopIteration
            event = self.next_event()
        return event

    def next_event(self, timeout_seconds: Optional[float] = None) -> Optional[Event]:
        """The next event, waiting at most that long (0: not at all; None: as long as it takes).

        None if there was none in time, or if the last event was taken before: then `ended` is true; and,
        whatever the time, when there may be room for the rest of a try_write_stdin().
        """
        if self._driver.last is not None:
            return None
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        return self._taken(self._driver.take_or_room(deadline))

    @property
    def ended(self) -> bool:
        """The last event was taken, or the operation failed."""
        return self._driver.last is not None

    def wait(self, progress: Optional[Callable[[Progress], None]] = None) -> T:
        """Takes all remaining events and gives the outcome. Of a command's output, the result has
        what had not been taken yet. `progress` is called with each Progress event."""
        collector = _Collector(self._output_limit_bytes, progress)
        for event in self:
            collector.add(event)
        return self._outcome(collector)

    # -- acting on the command

    def write_stdin(self, data: Input, timeout_seconds: Optional[float] = None) -> int:
        """Hands all of `data` (text as UTF-8) to the command's input; waits while it does not read.

        Needs stdin=STREAM. Gives the number of bytes handed over, which is less than all only if
        timeout_seconds passed. Output that arrives meanwhile is kept for whoever takes the events,
        up to 16 MiB; a command that prints more without reading raises LimitError, unless another
        thread takes the events. Raises StateError if the input was closed or the command has ended.
        """
        view = _view(data)
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        done = 0
        while done < len(view):
            accepted = self._driver.write(view[done:], deadline)
            if accepted == 0:
                break
            done += accepted
        return done

    def try_write_stdin(self, data: Input) -> int:
        """Hands over as much of `data` as fits now, without waiting; gives the number of bytes, perhaps 0.
        Try the rest again whenever next_event() has returned, with an event or without."""
        view = _view(data)
        return self._driver.try_write(view) if len(view) else 0

    def close_stdin(self) -> None:
        """Ends the command's input after what was written."""
        self._driver.call(self._library.pyro_op_close_stdin)

    def send_signal(self, signal_number: int) -> None:
        """Sends a signal (1 to 64) to the command; with a terminal, to its foreground job. Before the
        command has started, up to 16 are kept and sent then; more are a StateError."""
        number = in_range("signal_number", signal_number, 64)
        self._driver.call(lambda op, error: self._library.pyro_op_signal(op, number, error))

    def resize(self, rows: int, columns: int) -> None:
        """Changes the size of the command's terminal (1 to 65535 each)."""
        size = in_range("rows", rows, 65535), in_range("columns", columns, 65535)
        self._driver.call(lambda op, error: self._library.pyro_op_resize(op, size[0], size[1], error))

    def cancel(self) -> None:
        """Ends the operation without waiting; whoever takes its events gets CancelledError. The VM is
        destroyed. From any thread. Does nothing if the operation has ended."""
        if self._driver.last is None and not self._driver.closed:
            self._driver.call(self._library.pyro_op_cancel)

    def fileno(self) -> int:
        """A descriptor for event loops: when it is readable, call next_event(0) until it gives None.
        It may wake for nothing and belongs to the operation: do not read or close it."""
        return self._driver.fileno()

    def close(self) -> None:
        """Ends the operation and everything it started, waiting for that (at most about two seconds).
        May be called more than once. In a forked child it leaves the parent's VM alone."""
        self._driver.close()
        self._on_end()

    def __enter__(self) -> Operation[T]:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    # -- asyncio

    def __aiter__(self) -> Operation[T]:
        return self

    async def __anext__(self) -> Event:
        event = None if self._driver.last is not None else self._taken(await self._driver.take_async())
        if event is None:
            raise StopAsyncIteration
        return event

    async def wait_async(self, progress: Optional[Callable[[Progress], None]] = None) -> T:
        """wait() for asyncio."""
        collector = _Collector(self._output_limit_bytes, progress)
        async for event in self:
            collector.add(event)
        return self._outcome(collector)

    async def write_stdin_async(self, data: Input) -> None:
        """write_stdin() for asyncio."""
        view = _view(data)
        while len(view):
            view = view[await self._driver.write_async(view):]

    async def close_async(self) -> None:
        """close() that lets the event loop go on while the VM is ended."""
        try:
            if self._driver.last is None and not self._driver.closed:
                self.cancel()
                await asyncio.wait_for(self._drain(), CLOSE_SECONDS)
        except asyncio.TimeoutError:
            pass
        finally:
            self.close()

    async def __aenter__(self) -> Operation[T]:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close_async()

    # -- inside

    def _taken(self, item: Optional[Item]) -> Optional[Event]:
        """What was taken from the driver as the public methods give it: raised, returned, or None."""
        if isinstance(item, (Exit, Done, PyroError)):
            self._on_end()
        if isinstance(item, PyroError):
            raise item
        return None if isinstance(item, Over) else item

    def _outcome(self, collector: _Collector) -> T:
        last = self._driver.last
        if isinstance(last, PyroError):
            raise last
        if last is None:
            raise InternalError(Status.ERROR_INTERNAL, "the operation ended without saying how")
        return self._finish(collector.last(last))

    async def _drain(self) -> None:
        try:
            async for _ in self:
                pass
        except PyroError:
            pass  # most likely CancelledError, as asked for


def _view(data: Input) -> memoryview:
    return memoryview(input_bytes(data) if isinstance(data, str) else data).cast("B")
