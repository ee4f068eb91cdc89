"""Pyro itself: finding the library, log, closing."""
from __future__ import annotations

import logging
import os
import subprocess
import sys
import unittest
from typing import Dict
from unittest import mock

import libpyro
from libpyro import _library
from support import PACKAGE, FakeTestCase, fake_library


class LogTest(FakeTestCase):
    def test_records_go_to_logging(self) -> None:
        with self.assertLogs("libpyro", logging.WARNING) as logs:
            with libpyro.Pyro(log_level="debug") as pyro:
                pyro.run_in_vm("fake", "true")
        self.assertEqual([record.getMessage() for record in logs.records], ["client: 100% fake"])
        self.assertEqual(logs.records[0].levelno, logging.WARNING)
        self.assertAlmostEqual(logs.records[0].created, 1500000000.123, places=3)

    def test_default_level_is_the_loggers(self) -> None:
        logger = logging.getLogger("libpyro")
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL)
        pyro = libpyro.Pyro()
        logger.setLevel(logging.DEBUG)
        with self.assertRaises(AssertionError), self.assertLogs("libpyro"):
            pyro.close()

    def test_nothing_is_written_to_stderr(self) -> None:
        script = "import libpyro; libpyro.Pyro(log_level='debug').run_in_vm('fake', 'true')"
        done = subprocess.run([sys.executable, "-c", script], env=child_env({}), stderr=subprocess.PIPE, timeout=30)
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_caps_that_are_none_are_refused(self) -> None:
        for name in ("max_vms", "max_mem_mib", "disk_reserve_mib"):
            with self.assertRaisesRegex(libpyro.InvalidError, name):
                libpyro.Pyro(**{name: -1})
        libpyro.Pyro(max_vms=None, max_mem_mib=5, disk_reserve_mib=0, mem_overcommit=1.5, cgroup="/none").close()

    def test_unknown_level_is_refused(self) -> None:
        with self.assertRaisesRegex(libpyro.InvalidError, "log_level"):
            libpyro.Pyro(log_level="loud")


class OpenTest(FakeTestCase):
    def test_errors_of_open_are_raised(self) -> None:
        with self.assertRaisesRegex(libpyro.InvalidError, "absolute"):
            libpyro.Pyro(home="relative")
        with self.assertRaisesRegex(libpyro.InvalidError, "NUL"):
            libpyro.Pyro(home="/a\0b")

    def test_close_twice_and_use_after_close(self) -> None:
        pyro = libpyro.Pyro()
        pyro.close()
        pyro.close()
        for call in (pyro.doctor, pyro.list_environments):
            with self.assertRaises(libpyro.StateError):
                call()


class LibraryTest(unittest.TestCase):
    def test_a_missing_library_says_what_to_do(self) -> None:
        with mock.patch.dict(os.environ, {"PYRO_LIBRARY": "/nonexistent/libpyro.so.0"}):
            with self.assertRaisesRegex(libpyro.UnsupportedError, "PYRO_LIBRARY"):
                libpyro.Pyro()

    def test_a_library_of_another_version_is_refused(self) -> None:
        script = "import libpyro\ntry:\n    libpyro.Pyro()\nexcept libpyro.UnsupportedError as e:\n    print(e)"
        for number, accepted in ((1000, True), (1001, True), (9000, True), (999, False), (1000000, False)):
            environment = child_env({"FAKE_PYRO_VERSION": str(number)})
            done = subprocess.run([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, timeout=30)
            self.assertEqual((done.returncode, b"install matching" in done.stdout), (0, not accepted), number)

    def test_something_else_is_refused(self) -> None:
        with mock.patch.dict(os.environ, {"PYRO_LIBRARY": "libc.so.6"}):
            with self.assertRaises(libpyro.UnsupportedError):
                libpyro.Pyro()

    def test_without_a_choice_the_loader_is_asked_last(self) -> None:
        with mock.patch.dict(os.environ):
            os.environ.pop("PYRO_LIBRARY", None)
            self.assertEqual(list(_library.candidates())[-1], "libpyro.so.0")


def child_env(extra: Dict[str, str]) -> Dict[str, str]:
    return {**os.environ, "PYRO_LIBRARY": fake_library(), "PYTHONPATH": str(PACKAGE), **extra}


if __name__ == "__main__":
    unittest.main()
