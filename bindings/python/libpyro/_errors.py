"""Exceptions: one class per group of errors, so that `except` says what the caller can do about it."""
from __future__ import annotations

import ctypes
from typing import Any, Dict, Type, Union

from ._bindings import Functions, Status, pyro_error


class PyroError(Exception):
    """Anything that libpyro reports as an error. A command that fails is a result, not an error.

    code: the `Status` (a plain int if the library is newer than this package and has one more).
    message: what failed, on what, why, and what to do next.
    console: the last lines of the guest's console, or "" if the guest had no part in it.
    """

    def __init__(self, code: int, message: str, console: str = "") -> None:
        super().__init__(message)
        self.code: Union[Status, int] = _status(code)
        self.message = message
        self.console = console

    def __reduce__(self) -> Any:
        # The default would call the class with the message alone; process pools pickle exceptions.
        return type(self), (int(self.code), self.message, self.console)

    def __str__(self) -> str:
        return self.message


class InvalidError(PyroError, ValueError):
    """An argument is missing, out of range or makes no sense."""


class ForkedError(PyroError, RuntimeError):
    """The object was made before fork() and belongs to the parent process. Make a new `Pyro`."""


class NotFoundError(PyroError, LookupError):
    """What was named does not exist."""


class ExistsError(PyroError):
    """What was to be made exists already."""


class StateError(PyroError, RuntimeError):
    """It exists, but not in a state that allows this; also: the object was closed."""


class UnsupportedError(PyroError):
    """This host, this build or this version cannot do it; the message says what is missing."""


class LimitError(PyroError):
    """A limit was reached, or memory, disk, descriptors or processes ran out."""


class BrokenEnvironmentError(PyroError):
    """The environment (kernel, image, manifest) is broken, or could not be built."""


class BootError(PyroError):
    """The guest did not start; `console` has its last words."""


class VmLostError(PyroError):
    """The VM was lost. Base of the two classes that say what that means for the command."""


class NotStartedError(VmLostError):
    """The VM was lost before the command was started: running it again is safe."""


class OutcomeUnknownError(VmLostError):
    """The VM was lost after the command was started: what it did is unknown."""


class OperationTimeoutError(PyroError, TimeoutError):
    """An operation took longer than it may. (A command that did is a result with timed_out.)"""


class CancelledError(PyroError):
    """`Operation.cancel()` ended the operation. Not asyncio.CancelledError."""


class InternalError(PyroError):
    """A defect of the library."""


_CLASSES: Dict[int, Type[PyroError]] = {
    Status.ERROR_INVALID: InvalidError,
    Status.ERROR_FORKED: ForkedError,
    Status.ERROR_NOT_FOUND: NotFoundError,
    Status.ERROR_EXISTS: ExistsError,
    Status.ERROR_STATE: StateError,
    Status.ERROR_UNSUPPORTED: UnsupportedError,
    Status.ERROR_LIMIT: LimitError,
    Status.ERROR_ENVIRONMENT: BrokenEnvironmentError,
    Status.ERROR_BOOT: BootError,
    Status.ERROR_NOT_STARTED: NotStartedError,
    Status.ERROR_OUTCOME_UNKNOWN: OutcomeUnknownError,
    Status.ERROR_TIMEOUT: OperationTimeoutError,
    Status.ERROR_CANCELLED: CancelledError,
    Status.ERROR_INTERNAL: InternalError,
}


def _status(code: int) -> Union[Status, int]:
    try:
        return Status(code)
    except ValueError:
        return code


def make_error(code: int, message: str, console: str = "") -> PyroError:
    """The exception for a status."""
    return _CLASSES.get(code, PyroError)(code, message, console)


def invalid(message: str) -> InvalidError:
    return InvalidError(Status.ERROR_INVALID, message)


def closed(what: str) -> StateError:
    return StateError(Status.ERROR_STATE, f"this {what} is closed")


def forked(what: str) -> ForkedError:
    return ForkedError(
        Status.ERROR_FORKED, f"this {what} was made before fork() and belongs to the parent process: make a new Pyro"
    )


def text(value: Any) -> str:
    """A UTF-8 string of the library; NULL is ""."""
    return bytes(value or b"").decode("utf-8", "replace")


def read_error(library: Functions, error: Any) -> PyroError:
    """The exception for a borrowed pyro_error."""
    return make_error(
        library.pyro_error_code(error),
        text(library.pyro_error_message(error)),
        text(library.pyro_error_console(error)),
    )


class ErrorSlot:
    """Where a call puts its pyro_error: pass `slot.out` as the last argument, then `check` the status."""

    def __init__(self, library: Functions) -> None:
        self._library = library
        self._error = ctypes.POINTER(pyro_error)()
        self.out = ctypes.byref(self._error)

    def check(self, status: int) -> None:
        """Raises what the call failed with, if it failed."""
        if status < Status.ERROR_INVALID:
            return
        if not self._error:
            raise make_error(status, text(self._library.pyro_status_name(status)))
        try:
            raise read_error(self._library, self._error)
        finally:
            self._library.pyro_error_destroy(ctypes.byref(self._error))
