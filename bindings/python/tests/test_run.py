"""Pyro.run_in_vm and the calls that give one value: arguments, results, errors."""
from __future__ import annotations

import inspect
import math
import os
import pickle
import unittest
from typing import Any, Dict, List, Union

import libpyro
from libpyro import Pyro
from libpyro._errors import make_error
from support import FakeTestCase


class ResultTest(FakeTestCase):
    def test_output_and_exit_code_come_back(self) -> None:
        result = self.pyro.run_in_vm("fake", "echo out; echo err >&2; exit 77")
        self.assertEqual((result.exit_code, result.stdout, result.stderr), (77, b"out\n", b"err\n"))
        self.assertEqual((result.engine, result.start_kind, result.task_id), ("software", "cold", ""))
        self.assertEqual((result.stdout_total_bytes, result.stdout_truncated), (4, False))

    def test_death_by_signal_is_a_result(self) -> None:
        result = self.pyro.run_in_vm("fake", "kill -SEGV $$")
        self.assertEqual((result.exit_code, result.term_signal), (139, 11))

    def test_timeout_is_a_result_that_keeps_the_output(self) -> None:
        result = self.pyro.run_in_vm("fake", "echo begun; sleep 60", timeout_seconds=0.2)
        self.assertEqual((result.exit_code, result.timed_out, result.stdout), (124, True, b"begun\n"))

    def test_text_helpers_replace_what_is_not_utf8(self) -> None:
        result = self.pyro.run_in_vm("fake", r"printf 'a\377b'; printf '\303\244' >&2")
        self.assertEqual((result.stdout_text, result.stderr_text), ("a\ufffdb", "\u00e4"))

    def test_output_beyond_the_limit_is_counted_and_dropped(self) -> None:
        for limit in (1000, 0):
            result = self.pyro.run_in_vm("fake", "head -c 300000 /dev/zero; echo x >&2", output_limit_bytes=limit)
            self.assertEqual((len(result.stdout), result.stdout_truncated), (limit, True))
            self.assertEqual(result.stdout_total_bytes, 300000)
            self.assertEqual(result.stderr_truncated, limit == 0)

    def test_no_limit_keeps_all(self) -> None:
        result = self.pyro.run_in_vm("fake", "head -c 3000000 /dev/zero", output_limit_bytes=None)
        self.assertEqual((len(result.stdout), result.stdout_truncated), (3000000, False))

    def test_result_is_immutable(self) -> None:
        result = self.pyro.run_in_vm("fake", "true")
        with self.assertRaises(AttributeError):
            result.exit_code = 1  # type: ignore[misc]


class ArgumentTest(FakeTestCase):
    def test_argv_arrives_byte_for_byte(self) -> None:
        odd: List[Union[str, bytes]] = ["a b", "", "'\"", "line\nbreak", "\u00fc", os.fsdecode(b"\xff\xfe"), b"\x80raw"]
        result = self.pyro.run_in_vm("fake", ["printf", "%s|", *odd])
        expected = b"a b||'\"|line\nbreak|\xc3\xbc|\xff\xfe|\x80raw|"
        self.assertEqual(result.stdout, expected)

    def test_variables_are_set(self) -> None:
        result = self.pyro.run_in_vm("fake", 'printf "$A,$B"', env={"A": "1=2", b"B": b"\xff"})
        self.assertEqual(result.stdout, b"1=2,\xff")

    def test_stdin_is_bytes_or_text(self) -> None:
        self.assertEqual(self.pyro.run_in_vm("fake", "cat", stdin=b"\x00\xff").stdout, b"\x00\xff")
        self.assertEqual(self.pyro.run_in_vm("fake", "cat", stdin="\u00e4\udcff").stdout, b"\xc3\xa4\xff")
        self.assertEqual(self.pyro.run_in_vm("fake", "cat", stdin=None).stdout, b"")

    def test_defaults_are_those_of_the_contract(self) -> None:
        result = self.pyro.run_in_vm("fake", 'echo "$FAKE_SIZE/$FAKE_TIMES/$FAKE_MODES/$FAKE_CWD/$FAKE_USER"')
        self.assertEqual(result.stdout_text, "1 1024 2048/30 60 0/0 0 24x80//\n")

    def test_options_arrive(self) -> None:
        result = self.pyro.run_in_vm(
            "fake",
            'echo "$FAKE_SIZE/$FAKE_TIMES/$FAKE_MODES/$FAKE_CWD/$FAKE_USER"',
            vcpu_count=2, mem_mib=256, disk_mib=64, timeout_seconds=None, boot_timeout_seconds=5,
            max_lifetime_seconds=9.5, cwd="/tmp", user="nobody", engine="software", pty=True, pty_rows=3, pty_columns=4,
        )
        self.assertEqual(result.stdout_text, "2 256 64/-1 5 9.5/2 1 3x4//tmp/nobody\n")

    def test_what_c_would_misread_is_refused_here(self) -> None:
        refused: List[Dict[str, Any]] = [
            {"vcpu_count": 0}, {"mem_mib": -1}, {"disk_mib": 2**32}, {"timeout_seconds": 0}, {"timeout_seconds": -1},
            {"timeout_seconds": math.nan}, {"boot_timeout_seconds": math.inf}, {"engine": "hyperv"},
            {"output_limit_bytes": -1}, {"env": {"A=B": "c"}}, {"env": {"": "c"}}, {"env": {"A": "b\0"}},
            {"cwd": "/a\0b"}, {"user": "a\0"},
        ]
        for options in refused:
            with self.subTest(options), self.assertRaises(libpyro.InvalidError) as caught:
                self.pyro.run_in_vm("fake", "true", **options)
            self.assertIn(next(iter(options)), str(caught.exception))
        commands: List[Union[str, List[str]]] = ["a\0b", ["a", "b\0"], []]
        for command in commands:
            with self.subTest(command), self.assertRaisesRegex(libpyro.InvalidError, "command"):
                self.pyro.run_in_vm("fake", command)

    def test_the_three_ways_to_run_take_the_same_arguments(self) -> None:
        blocking = inspect.signature(Pyro.run_in_vm).parameters
        for other in (Pyro.run_in_vm_async, Pyro.start_run_in_vm):
            parameters = inspect.signature(other).parameters
            self.assertEqual(list(parameters), list(blocking))
            for name, parameter in parameters.items():
                self.assertEqual(parameter.default, blocking[name].default, name)


class ErrorTest(FakeTestCase):
    def test_errors_have_a_class_a_code_and_a_message(self) -> None:
        cases = (
            ("missing", libpyro.NotFoundError, libpyro.Status.ERROR_NOT_FOUND),
            ("boot-fails", libpyro.BootError, libpyro.Status.ERROR_BOOT),
            ("lost", libpyro.NotStartedError, libpyro.Status.ERROR_NOT_STARTED),
            ("unknown-outcome", libpyro.OutcomeUnknownError, libpyro.Status.ERROR_OUTCOME_UNKNOWN),
        )
        for environment, kind, code in cases:
            with self.subTest(environment), self.assertRaises(kind) as caught:
                self.pyro.run_in_vm(environment, "true")
            self.assertEqual(caught.exception.code, code)
            self.assertTrue(caught.exception.message)
        with self.assertRaises(libpyro.BootError) as boot:
            self.pyro.run_in_vm("boot-fails", "true")
        self.assertIn("panic", boot.exception.console)

    def test_the_library_says_what_it_refuses(self) -> None:
        with self.assertRaisesRegex(libpyro.InvalidError, "1 to 16"):
            self.pyro.run_in_vm("fake", "true", vcpu_count=17)
        with self.assertRaises(libpyro.UnsupportedError):
            self.pyro.run_in_vm("fake", "true", network=True)

    def test_classes_are_the_natural_builtin_ones_too(self) -> None:
        self.assertTrue(issubclass(libpyro.InvalidError, ValueError))
        self.assertTrue(issubclass(libpyro.NotFoundError, LookupError))
        self.assertTrue(issubclass(libpyro.OperationTimeoutError, TimeoutError))
        self.assertTrue(issubclass(libpyro.NotStartedError, libpyro.VmLostError))

    def test_every_status_has_its_class_and_survives_pickling(self) -> None:
        for status in libpyro.Status:
            if status < libpyro.Status.ERROR_INVALID:
                continue
            error = make_error(status, "what and why", "last words")
            self.assertIsNot(type(error), libpyro.PyroError)
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual(type(again), type(error))
            self.assertEqual((again.code, again.message, again.console), (status, "what and why", "last words"))
            self.assertEqual(str(again), "what and why")

    def test_a_status_of_a_newer_library_is_a_plain_pyro_error(self) -> None:
        error = make_error(777, "new")
        self.assertEqual((type(error), error.code), (libpyro.PyroError, 777))


class OtherCallsTest(FakeTestCase):
    def test_environments(self) -> None:
        seen: List[libpyro.Progress] = []
        built = self.pyro.build_environment("fake", progress=seen.append)
        self.assertEqual((built.name, built.available, built.kernel_version), ("fake", True, "6.1"))
        self.assertEqual(seen, [libpyro.Progress("build", "step", 1, 2)])
        self.assertEqual([item.name for item in self.pyro.list_environments()], ["", "other"])
        self.assertEqual(self.pyro.inspect_environment("fake").manifest, {"format": 1})
        self.assertEqual(self.pyro.import_environment("mine", "/tmp").name, "mine")
        self.pyro.export_environment("fake", "/tmp/out")
        self.assertEqual(self.pyro.prune_environments(all=True).freed_bytes, 42)
        with self.assertRaises(libpyro.NotFoundError):
            self.pyro.build_environment("missing")

    def test_doctor_steps_over_fields_of_a_newer_library(self) -> None:
        report = self.pyro.doctor()
        self.assertEqual((report.healthy, report.engine, report.kvm_state), (True, "software", "emulating"))
        self.assertEqual([check.name for check in report.checks], ["kvm", "qemu"])
        self.assertEqual([check.status for check in report.checks], ["ok", "warning"])
        self.assertEqual(report.details, {"healthy": True})

    def test_version_and_features(self) -> None:
        self.assertEqual(libpyro.version(), libpyro.__version__)
        self.assertEqual((libpyro.feature("pty"), libpyro.feature("x"), libpyro.feature("p\0")), (True, False, False))


if __name__ == "__main__":
    unittest.main()
