"""Finds and loads libpyro.so.0, once per process and path."""
from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path
from typing import Dict, Iterator, List

from ._bindings import PYRO_VERSION_NUMBER, PYRO_VERSION_STRING, Functions, Status
from ._errors import UnsupportedError, text

SONAME = "libpyro.so.0"

_lock = threading.Lock()
_loaded: Dict[str, Functions] = {}
# A thread of the parent may have held the lock at fork(); the child starts with a free one.
os.register_at_fork(after_in_child=lambda: globals().update(_lock=threading.Lock()))


def candidates() -> Iterator[str]:
    """Where the library may be, best first: $PYRO_LIBRARY alone if it is set; else beside this package,
    in the build tree that this package lies in, and wherever the system's loader finds it."""
    chosen = os.environ.get("PYRO_LIBRARY")
    if chosen:
        yield chosen
        return
    package = Path(__file__).resolve().parent
    for folder in (package, package.parent.parent.parent / "build" / "lib"):
        if (folder / SONAME).exists():
            yield str(folder / SONAME)
    yield SONAME


def load() -> Functions:
    """The library's functions. Raises UnsupportedError if it is not there or does not fit."""
    failures: List[str] = []
    with _lock:
        for path in candidates():
            if path in _loaded:
                return _loaded[path]
            try:
                _loaded[path] = _open(path)
                return _loaded[path]
            except (OSError, AttributeError) as error:
                failures.append(str(error))
    raise UnsupportedError(
        Status.ERROR_UNSUPPORTED,
        f"cannot load {SONAME} ({'; '.join(failures)}): install libpyro, or set PYRO_LIBRARY to the file",
    )


def _open(path: str) -> Functions:
    dll = ctypes.CDLL(path)
    dll.pyro_version_number.restype = ctypes.c_uint32
    number = int(dll.pyro_version_number())
    # The ABI only grows within a major version, so the library may be newer than the header that
    # _bindings.py was generated from, but not older.
    if number // 1_000_000 != PYRO_VERSION_NUMBER // 1_000_000 or number // 1000 < PYRO_VERSION_NUMBER // 1000:
        found = f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
        raise UnsupportedError(
            Status.ERROR_UNSUPPORTED,
            f"{path} is libpyro {found}, but this package needs {PYRO_VERSION_STRING} or newer of the same major"
            " version: install matching versions, or set PYRO_LIBRARY to another file",
        )
    return Functions(dll)


def version() -> str:
    """Version of the library that is loaded, such as "0.1.0". The package's own is `libpyro.__version__`."""
    return text(load().pyro_version_string())


def feature(name: str) -> bool:
    """Whether the loaded library was built with a feature, such as "engine.kvm" or "network".

    Says what was built, not what this host can do: that is `Pyro.doctor()`.
    """
    return "\0" not in name and bool(load().pyro_feature(name.encode()))
