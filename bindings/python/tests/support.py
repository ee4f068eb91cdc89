"""What the tests share: the fake library, compiled once, and a test case that uses it."""
from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Callable
from unittest import mock

import libpyro

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent
HEADERS = PACKAGE.parent.parent / "capi"


@functools.lru_cache(maxsize=None)
def scratch() -> Path:
    folder = tempfile.mkdtemp(prefix="libpyro-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def compile_c(source: Path, output: Path, *flags: str) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        raise unittest.SkipTest("no C compiler: install gcc")
    command = [compiler, "-Wall", "-Wextra", "-Werror", f"-I{HEADERS}", *flags, "-o", str(output), str(source)]
    subprocess.run(command, check=True)
    return output


@functools.lru_cache(maxsize=None)
def fake_library() -> str:
    """Path of a libpyro.so that runs commands on this host, without a VM: see fake_pyro.c."""
    return str(compile_c(TESTS / "fake_pyro.c", scratch() / "fake_pyro.so", "-std=gnu11", "-g", "-fPIC", "-shared"))


class FakeTestCase(unittest.TestCase):
    """Tests on the fake library, with an open Pyro."""

    pyro: libpyro.Pyro

    def setUp(self) -> None:
        patch = mock.patch.dict(os.environ, {"PYRO_LIBRARY": fake_library()})
        patch.start()
        self.addCleanup(patch.stop)
        self.pyro = libpyro.Pyro()
        self.addCleanup(self.pyro.close)


def within(seconds: float, condition: Callable[[], Any]) -> bool:
    """Whether the condition came true in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def remove(path: str) -> None:
    """Removes a file that may not be there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def exit_code_of_child(status: int) -> int:
    """What waitpid() says, as a shell would."""
    return os.waitstatus_to_exitcode(status)
