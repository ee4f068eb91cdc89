"""The real library on real VMs: runs if PYRO_TEST_VM names an environment, such as "debian:12-base"."""
from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
from typing import Any, List, Optional

import libpyro
from libpyro import STREAM, Exit, Started, Stdout
from support import PACKAGE, exit_code_of_child, within

ENVIRONMENT = os.environ.get("PYRO_TEST_VM", "")


def supervisors() -> List[int]:
    """The pyro-vm processes that this process started."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
        except (OSError, ValueError):
            continue
        state, parent = rest.split()[:2]
        if name == "pyro-vm" and int(parent) == os.getpid() and state != "Z":
            found.append(int(entry))
    return found


@unittest.skipUnless(ENVIRONMENT, "PYRO_TEST_VM does not name an environment")
class VmTest(unittest.TestCase):
    pyro: libpyro.Pyro

    def setUp(self) -> None:
        self.pyro = libpyro.Pyro()
        self.addCleanup(self.pyro.close)

    def run_vm(self, command: Any, **options: Any) -> libpyro.Result:
        return self.pyro.run_in_vm(ENVIRONMENT, command, mem_mib=256, **options)

    def start(self, command: Any, **options: Any) -> libpyro.Operation[libpyro.Result]:
        return self.pyro.start_run_in_vm(ENVIRONMENT, command, mem_mib=256, **options)

    def test_output_exit_code_and_facts(self) -> None:
        result = self.run_vm("echo out; echo err >&2; pwd; exit 77")
        self.assertEqual((result.exit_code, result.stdout, result.stderr), (77, b"out\n/workspace\n", b"err\n"))
        self.assertIn(result.engine, ("kvm", "software"))
        self.assertTrue(result.vm_id)
        self.assertTrue(within(3, lambda: not supervisors()))

    def test_arguments_arrive_byte_for_byte(self) -> None:
        odd = ["a b", "", "'\"", "line\nbreak", "\u00fc", os.fsdecode(b"\xff\xfe")]
        result = self.run_vm(["printf", "%s|", *odd], env={"X": os.fsdecode(b"\xff")})
        self.assertEqual(result.stdout, b"a b||'\"|line\nbreak|\xc3\xbc|\xff\xfe|")

    def test_failures_of_commands_are_results(self) -> None:
        self.assertEqual(self.run_vm("kill -SEGV $$").exit_code, 139)
        self.assertEqual(self.run_vm(["/nonexistent"]).exit_code, 127)
        result = self.run_vm("echo begun; sleep 60", timeout_seconds=1)
        self.assertEqual((result.exit_code, result.timed_out, result.stdout), (124, True, b"begun\n"))

    def test_ten_mebibytes_in_and_out(self) -> None:
        data = os.urandom(10 << 20)
        result = self.run_vm("cat", stdin=data, output_limit_bytes=None, timeout_seconds=120)
        self.assertEqual(hashlib.sha256(result.stdout).digest(), hashlib.sha256(data).digest())

    def test_streamed_input_is_written_while_output_is_read(self) -> None:
        data = os.urandom(10 << 20)
        with self.start("cat", stdin=STREAM, timeout_seconds=120) as operation:
            received: List[bytes] = []

            def read() -> None:
                received.extend(event.data for event in operation if isinstance(event, Stdout))

            reader = threading.Thread(target=read)
            reader.start()
            self.assertEqual(operation.write_stdin(data), len(data))
            operation.close_stdin()
            reader.join(120)
        self.assertEqual(b"".join(received), data)

    def test_hundred_megabytes_stream_in_bounded_memory(self) -> None:
        script = (
            "import libpyro, sys\n"
            "total = 0\n"
            "with libpyro.Pyro() as pyro:\n"
            "    with pyro.start_run_in_vm(sys.argv[1], 'head -c 100000000 /dev/zero', timeout_seconds=300) as op:\n"
            "        for event in op:\n"
            "            total += len(event.data) if isinstance(event, libpyro.Stdout) else 0\n"
            # Not ru_maxrss: that one remembers the process before exec().
            "status = open('/proc/self/status').read()\n"
            "print(total, status.split('VmHWM:')[1].split()[0])\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, ENVIRONMENT], env=child_env(), stdout=subprocess.PIPE, timeout=400
        )
        total, rss_kib = (int(word) for word in done.stdout.split())
        self.assertEqual(total, 100_000_000)
        self.assertLess(rss_kib, 64 * 1024)

    def test_output_beyond_the_limit_is_counted(self) -> None:
        result = self.run_vm("head -c 3000000 /dev/zero", output_limit_bytes=1000)
        self.assertEqual((len(result.stdout), result.stdout_truncated), (1000, True))
        self.assertEqual(result.stdout_total_bytes, 3000000)

    def test_signal_reaches_the_command(self) -> None:
        with self.start("trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done") as operation:
            last: Optional[Exit] = None
            for event in operation:
                if isinstance(event, Stdout):
                    operation.send_signal(signal.SIGTERM)
                elif isinstance(event, Exit):
                    last = event
        assert last is not None
        self.assertEqual(last.result.exit_code, 5)

    def test_terminal(self) -> None:
        result = self.run_vm("test -t 0 && stty size", pty=True, pty_rows=33, pty_columns=44)
        self.assertEqual(result.stdout.strip(), b"33 44")

    def test_cancel_and_close_destroy_the_vm(self) -> None:
        with self.start("sleep 60") as operation:
            self.assertTrue(any(isinstance(event, Started) for event in operation_until_started(operation)))
            self.assertTrue(supervisors())
            operation.cancel()
            with self.assertRaises(libpyro.CancelledError):
                operation.wait()
        self.assertEqual(supervisors(), [])

    def test_a_lost_supervisor_is_told_from_one_that_never_started_the_command(self) -> None:
        with self.start("sleep 60") as operation:
            list(operation_until_started(operation))
            os.kill(supervisors()[0], signal.SIGKILL)
            with self.assertRaises(libpyro.OutcomeUnknownError):
                operation.wait()
        with self.start("sleep 60") as operation:
            self.assertTrue(within(10, lambda: operation.next_event(0.01) is not None or supervisors()))
            os.kill(supervisors()[0], signal.SIGKILL)
            with self.assertRaises(libpyro.NotStartedError):
                operation.wait()

    def test_four_vms_under_asyncio(self) -> None:
        async def main() -> None:
            commands = [self.pyro.run_in_vm_async(ENVIRONMENT, f"echo {n}", mem_mib=256) for n in range(4)]
            results = await asyncio.gather(*commands)
            self.assertEqual([result.stdout for result in results], [b"0\n", b"1\n", b"2\n", b"3\n"])
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(self.pyro.run_in_vm_async(ENVIRONMENT, "sleep 60", mem_mib=256), 5)
            self.assertEqual(supervisors(), [])

        asyncio.run(main())

    def test_four_threads(self) -> None:
        outputs: List[bytes] = []
        threads = [threading.Thread(target=lambda: outputs.append(self.run_vm("echo x").stdout)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        self.assertEqual(outputs, [b"x\n"] * 4)

    def test_ctrl_c_destroys_the_vm(self) -> None:
        script = (
            "import libpyro, os, signal, sys, threading\n"
            "threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
            "libpyro.Pyro().run_in_vm(sys.argv[1], 'sleep 60')\n"
        )
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", script, ENVIRONMENT], env=child_env(), stderr=subprocess.PIPE, timeout=60
        )
        self.assertIn(b"KeyboardInterrupt", done.stderr)
        self.assertLess(time.monotonic() - begun, 5)

    def test_fork_leaves_the_vm_alone(self) -> None:
        with self.start("read x; echo $x", stdin=STREAM) as operation:
            child = os.fork()
            if child == 0:
                os._exit(in_child(operation))
            self.assertEqual(exit_code_of_child(os.waitpid(child, 0)[1]), 0)
            operation.write_stdin(b"alive\n")
            self.assertEqual(operation.wait().stdout, b"alive\n")

    def test_wrong_use_says_what_is_allowed(self) -> None:
        with self.assertRaises(libpyro.NotFoundError):
            self.pyro.run_in_vm("no-such-environment", "true")
        with self.assertRaisesRegex(libpyro.InvalidError, "16"):
            self.run_vm("true", vcpu_count=1000)
        with self.assertRaises(libpyro.UnsupportedError):
            self.run_vm("true", network=True)

    def test_environments_and_doctor(self) -> None:
        self.assertIn(ENVIRONMENT, [environment.name for environment in self.pyro.list_environments()])
        inspected = self.pyro.inspect_environment(ENVIRONMENT)
        assert inspected.manifest is not None
        self.assertEqual(inspected.manifest["format"], 1)
        report = self.pyro.doctor()
        self.assertIn(report.engine, ("kvm", "software"))
        self.assertTrue(report.checks)


def operation_until_started(operation: libpyro.Operation[libpyro.Result]) -> List[libpyro.Event]:
    events = []
    for event in operation:
        events.append(event)
        if isinstance(event, Started):
            break
    return events


def in_child(operation: libpyro.Operation[libpyro.Result]) -> int:
    """Exit code: which expectation failed, or 0."""
    try:
        operation.wait()
        return 1
    except libpyro.ForkedError:
        operation.close()
    with libpyro.Pyro() as pyro:
        return 0 if pyro.run_in_vm(ENVIRONMENT, "exit 7").exit_code == 7 else 2


def child_env() -> Any:
    return {**os.environ, "PYTHONPATH": str(PACKAGE)}


if __name__ == "__main__":
    unittest.main()
