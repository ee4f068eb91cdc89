"""Operation: events one by one, acting on the command, threads, Ctrl-C, fork, clean-up."""
from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
import unittest
import warnings
from typing import Any, Callable, List

import libpyro
from libpyro import STREAM, Exit, Progress, Started, Stderr, Stdout
from support import PACKAGE, FakeTestCase, exit_code_of_child, remove, within


def output(events: List[Any]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Stdout))


class EventTest(FakeTestCase):
    def test_iteration_gives_every_event_and_then_stops(self) -> None:
        with self.pyro.start_run_in_vm("fake", "echo out; echo err >&2; exit 3") as operation:
            events = list(operation)
            self.assertEqual(list(operation), [])
            self.assertTrue(operation.ended)
        self.assertEqual([type(event) for event in events[:2]], [Progress, Started])
        self.assertEqual(sorted(type(event).__name__ for event in events[2:4]), ["Stderr", "Stdout"])
        self.assertIn(Stderr(b"err\n"), events)
        last = events[-1]
        assert isinstance(last, Exit)
        self.assertEqual((last.result.exit_code, last.result.stdout, last.result.stdout_total_bytes), (3, b"", 4))

    def test_wait_collects_what_was_not_taken(self) -> None:
        with self.pyro.start_run_in_vm("fake", "echo one; read x; echo two", stdin=STREAM) as operation:
            for event in operation:
                if isinstance(event, Stdout):
                    break
            operation.close_stdin()
            result = operation.wait()
            self.assertEqual((result.stdout, result.stdout_total_bytes), (b"two\n", 8))
            self.assertEqual(operation.wait().exit_code, 0)

    def test_failure_is_raised_and_stays_the_outcome(self) -> None:
        with self.pyro.start_run_in_vm("boot-fails", "true") as operation:
            with self.assertRaises(libpyro.BootError):
                list(operation)
            self.assertTrue(operation.ended)
            with self.assertRaises(libpyro.BootError):
                operation.wait()

    def test_next_event_waits_no_longer_than_told(self) -> None:
        with self.pyro.start_run_in_vm("fake", "sleep 60") as operation:
            while operation.next_event(0) is not None:
                pass
            begun = time.monotonic()
            self.assertIsNone(operation.next_event(0.1))
            self.assertLess(time.monotonic() - begun, 1)
            self.assertFalse(operation.ended)

    def test_descriptor_serves_a_foreign_loop(self) -> None:
        with self.pyro.start_run_in_vm("fake", "sleep 0.05; echo late") as operation:
            events = []
            while not operation.ended:
                self.assertTrue(select.select([operation], [], [], 5)[0], "never became readable")
                while True:
                    event = operation.next_event(0)
                    if event is None:
                        break
                    events.append(event)
            self.assertEqual(output(events), b"late\n")

    def test_many_megabytes_pass_through(self) -> None:
        total = 0
        with self.pyro.start_run_in_vm("fake", "head -c 50000000 /dev/zero") as operation:
            for event in operation:
                total += len(event.data) if isinstance(event, Stdout) else 0
        self.assertEqual(total, 50000000)


class InputTest(FakeTestCase):
    def test_write_waits_for_a_command_that_reads_slowly(self) -> None:
        data = os.urandom(5_000_000)
        with self.pyro.start_run_in_vm("fake", "sleep 0.1; cat", stdin=STREAM) as operation:
            self.assertEqual(operation.write_stdin(data), len(data))
            operation.close_stdin()
            self.assertEqual(output(list(operation)), data)

    def test_write_gives_up_in_time(self) -> None:
        with self.pyro.start_run_in_vm("fake", "sleep 60", stdin=STREAM) as operation:
            self.assertLess(operation.write_stdin(bytes(5_000_000), timeout_seconds=0.1), 5_000_000)
            self.assertEqual(operation.try_write_stdin(b"x"), 0)

    def test_try_write_and_next_event_feed_a_command_that_prints_nothing(self) -> None:
        rest = memoryview(bytes(1_000_000))
        with self.pyro.start_run_in_vm("fake", "sleep 0.1; cat > /dev/null", stdin=STREAM) as operation:
            rooms = 0
            while len(rest):
                rest = rest[operation.try_write_stdin(rest) :]
                if len(rest):
                    begun = time.monotonic()
                    rooms += operation.next_event(10) is None
                    self.assertLess(time.monotonic() - begun, 9, "nothing said that there is room")
            self.assertGreater(rooms, 0)
            operation.close_stdin()
            self.assertEqual(operation.wait().exit_code, 0)

    def test_text_is_utf8(self) -> None:
        with self.pyro.start_run_in_vm("fake", "cat", stdin=STREAM) as operation:
            operation.write_stdin("\u00e4")
            operation.close_stdin()
            self.assertEqual(output(list(operation)), b"\xc3\xa4")

    def test_a_command_that_only_prints_does_not_fill_memory(self) -> None:
        with self.pyro.start_run_in_vm("fake", "cat /dev/zero", stdin=STREAM) as operation:
            with self.assertRaisesRegex(libpyro.LimitError, "16 MiB"):
                operation.write_stdin(bytes(5_000_000))

    def test_write_goes_on_when_another_thread_takes_the_events(self) -> None:
        data = os.urandom(3_000_000)
        script = "head -c 40000000 /dev/zero; cat"
        with self.pyro.start_run_in_vm("fake", script, stdin=STREAM) as operation:
            sizes: List[int] = []
            reader = threading.Thread(
                target=lambda: sizes.extend(len(event.data) for event in operation if isinstance(event, Stdout))
            )
            reader.start()
            self.assertTrue(within(5, lambda: sizes))
            operation.write_stdin(data)
            operation.close_stdin()
            reader.join(20)
            self.assertEqual(sum(sizes), 40_000_000 + len(data))

    def test_input_that_cannot_go_anywhere_is_an_error(self) -> None:
        with self.pyro.start_run_in_vm("fake", "true") as operation:
            with self.assertRaises(libpyro.InvalidError):
                operation.write_stdin(b"x")
        with self.pyro.start_run_in_vm("fake", "cat", stdin=STREAM) as operation:
            operation.close_stdin()
            with self.assertRaises(libpyro.StateError):
                operation.write_stdin(b"x")


class ControlTest(FakeTestCase):
    def test_signal_reaches_the_command(self) -> None:
        script = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.01; done"
        with self.pyro.start_run_in_vm("fake", script) as operation:
            for event in operation:
                if isinstance(event, Stdout) and b"ready" in event.data:
                    operation.send_signal(signal.SIGTERM)
                if isinstance(event, Exit):
                    self.assertEqual(event.result.exit_code, 5)
            with self.assertRaises(libpyro.InvalidError):
                operation.send_signal(0)

    def test_resize_checks_its_range(self) -> None:
        with self.pyro.start_run_in_vm("fake", "true") as operation:
            with self.assertRaises(libpyro.InvalidError):
                operation.resize(0, 80)
            with self.assertRaises(libpyro.StateError):
                operation.resize(24, 80)

    def test_cancel_from_another_thread_ends_the_wait(self) -> None:
        with self.pyro.start_run_in_vm("fake", "sleep 60") as operation:
            threading.Timer(0.1, operation.cancel).start()
            with self.assertRaises(libpyro.CancelledError):
                operation.wait()
            operation.cancel()

    def test_close_from_another_thread_ends_the_wait(self) -> None:
        operation = self.pyro.start_run_in_vm("fake", "sleep 60")
        threading.Timer(0.1, operation.close).start()
        with self.assertRaises((libpyro.StateError, libpyro.CancelledError)):
            operation.wait()

    def test_a_closed_operation_says_so(self) -> None:
        operation = self.pyro.start_run_in_vm("fake", "sleep 60")
        operation.close()
        operation.close()
        operation.cancel()
        calls: List[Callable[[], Any]] = [operation.wait, operation.fileno, operation.close_stdin]
        for call in calls + [lambda: operation.write_stdin(b"x")]:
            with self.assertRaisesRegex(libpyro.StateError, "closed"):
                call()

    def test_operation_outlives_its_pyro(self) -> None:
        pyro = libpyro.Pyro()
        with pyro.start_run_in_vm("fake", "echo still") as operation:
            pyro.close()
            self.assertEqual(operation.wait().stdout, b"still\n")
        with self.assertRaisesRegex(libpyro.StateError, "closed"):
            pyro.run_in_vm("fake", "true")

    def test_dropped_operation_is_ended_with_a_warning(self) -> None:
        pid_file = os.path.join("/tmp", f"libpyro-dropped-{os.getpid()}")
        self.addCleanup(remove, pid_file)
        script = f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 60"
        operation = self.pyro.start_run_in_vm("fake", script)
        self.assertTrue(within(5, lambda: os.path.exists(pid_file)))
        with open(pid_file) as file:
            pid = int(file.read())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del operation
            gc.collect()
        self.assertEqual([warning.category for warning in caught], [ResourceWarning])
        self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def test_operations_leave_no_descriptors(self) -> None:
        self.pyro.run_in_vm("fake", "true")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            self.pyro.run_in_vm("fake", "true")
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class ThreadTest(FakeTestCase):
    def test_twenty_threads_share_one_pyro(self) -> None:
        results: List[bytes] = []

        def run(number: int) -> None:
            results.append(self.pyro.run_in_vm("fake", f"sleep 0.05; echo {number}").stdout)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        self.assertEqual(sorted(results), sorted(f"{number}\n".encode() for number in range(20)))

    def test_every_thread_that_waits_gets_the_outcome(self) -> None:
        with self.pyro.start_run_in_vm("fake", "sleep 0.05; exit 4") as operation:
            codes: List[int] = []
            threads = [threading.Thread(target=lambda: codes.append(operation.wait().exit_code)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
        self.assertEqual(codes, [4] * 8)

    def test_two_threads_take_events_of_one_operation(self) -> None:
        sizes: List[int] = []
        with self.pyro.start_run_in_vm("fake", "head -c 20000000 /dev/zero") as operation:

            def take() -> None:
                for event in operation:
                    if isinstance(event, Stdout):
                        sizes.append(len(event.data))

            threads = [threading.Thread(target=take) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
                self.assertFalse(thread.is_alive())
        self.assertEqual(sum(sizes), 20_000_000)


class ProcessTest(FakeTestCase):
    def test_ctrl_c_ends_a_blocking_call_and_its_command(self) -> None:
        script = (
            "import libpyro, os, signal, threading\n"
            "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
            "try:\n"
            "    libpyro.Pyro().run_in_vm('fake', 'echo $$ > $PID_FILE; exec sleep 60')\n"
            "except KeyboardInterrupt:\n"
            "    pid = int(open(os.environ['PID_FILE']).read())\n"
            "    print('gone' if not os.path.exists(f'/proc/{pid}') else 'alive')\n"
        )
        pid_file = os.path.join("/tmp", f"libpyro-ctrl-c-{os.getpid()}")
        self.addCleanup(remove, pid_file)
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PID_FILE": pid_file, "PYTHONPATH": str(PACKAGE)},
            stdout=subprocess.PIPE,
            timeout=30,
        )
        self.assertEqual(done.stdout, b"gone\n")
        self.assertLess(time.monotonic() - begun, 5)

    def test_a_signal_handler_may_close_what_it_interrupts(self) -> None:
        operation = self.pyro.start_run_in_vm("fake", "while :; do echo x; done")
        previous = signal.signal(signal.SIGALRM, lambda number, frame: operation.close())
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with self.assertRaisesRegex(libpyro.StateError, "closed"):
            for _ in operation:
                pass
        before = len(os.listdir("/proc/self/fd"))
        operation.close()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before, "the handler's close() was not completed")

    def test_forked_child_is_refused_and_leaves_the_parent_alone(self) -> None:
        with self.pyro.start_run_in_vm("fake", "read x; echo $x", stdin=STREAM) as operation:
            child = os.fork()
            if child == 0:
                os._exit(self._in_child(operation))
            self.assertEqual(exit_code_of_child(os.waitpid(child, 0)[1]), 0)
            operation.write_stdin(b"alive\n")
            self.assertEqual(operation.wait().stdout, b"alive\n")

    def _in_child(self, operation: libpyro.Operation[libpyro.Result]) -> int:
        """Exit code: which expectation failed, or 0."""
        calls: List[Callable[[], Any]] = [operation.wait, operation.fileno, self.pyro.doctor]
        calls.append(lambda: self.pyro.run_in_vm("fake", "true"))
        for number, call in enumerate(calls, 1):
            try:
                call()
                return number
            except libpyro.ForkedError:
                pass
        operation.close()
        self.pyro.close()
        with libpyro.Pyro() as pyro:
            return 0 if pyro.run_in_vm("fake", "exit 7").exit_code == 7 else 9

    def test_fork_while_another_thread_waits(self) -> None:
        with self.pyro.start_run_in_vm("fake", "sleep 60") as operation:
            waiter = threading.Thread(target=lambda: self.assertRaises(libpyro.CancelledError, operation.wait))
            waiter.start()
            child = os.fork()
            if child == 0:
                signal.alarm(10)
                operation.close()
                os._exit(0)
            self.assertEqual(exit_code_of_child(os.waitpid(child, 0)[1]), 0)
            self.assertTrue(waiter.is_alive())
            operation.cancel()
            waiter.join(10)
            self.assertFalse(waiter.is_alive())


if __name__ == "__main__":
    unittest.main()
