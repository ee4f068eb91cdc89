"""Operations under asyncio: no threads, cancellation, several at once."""
from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import unittest
from typing import Any, Coroutine

import libpyro
from libpyro import STREAM, Stdout
from support import FakeTestCase, remove


class AsyncioTest(FakeTestCase):
    def run_async(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(asyncio.wait_for(coroutine, 30))

    def test_commands_run_side_by_side_on_one_thread(self) -> None:
        async def main() -> None:
            meet = f"touch {folder}/$N; until test $(ls {folder} | wc -l) = 4; do sleep 0.01; done; echo $N"
            commands = [self.pyro.run_in_vm_async("fake", meet, env={"N": str(number)}) for number in range(4)]
            results = await asyncio.gather(*commands)
            self.assertEqual([result.stdout for result in results], [b"0\n", b"1\n", b"2\n", b"3\n"])
            self.assertLessEqual(threading.active_count(), threads)

        threads = threading.active_count()
        with tempfile.TemporaryDirectory() as folder:
            self.run_async(main())

    def test_events_are_iterated(self) -> None:
        async def main() -> None:
            total = 0
            async with self.pyro.start_run_in_vm("fake", "head -c 5000000 /dev/zero") as operation:
                async for event in operation:
                    total += len(event.data) if isinstance(event, Stdout) else 0
                self.assertEqual([event async for event in operation], [])
            self.assertEqual(total, 5000000)

        self.run_async(main())

    def test_one_task_writes_while_another_reads(self) -> None:
        data = os.urandom(30_000_000)

        async def main() -> None:
            async with self.pyro.start_run_in_vm("fake", "cat", stdin=STREAM, output_limit_bytes=None) as operation:

                async def feed() -> None:
                    await operation.write_stdin_async(data)
                    operation.close_stdin()

                _, result = await asyncio.gather(feed(), operation.wait_async())
                self.assertEqual(result.stdout, data)

        self.run_async(main())

    def test_a_command_that_only_prints_does_not_fill_memory(self) -> None:
        async def main() -> None:
            async with self.pyro.start_run_in_vm("fake", "cat /dev/zero", stdin=STREAM) as operation:
                with self.assertRaises(libpyro.LimitError):
                    await operation.write_stdin_async(bytes(5_000_000))

        self.run_async(main())

    def test_cancelling_the_task_destroys_the_vm(self) -> None:
        pid_file = os.path.join("/tmp", f"libpyro-cancel-{os.getpid()}")
        self.addCleanup(remove, pid_file)

        async def main() -> None:
            script = f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 60"
            task = asyncio.ensure_future(self.pyro.run_in_vm_async("fake", script))
            while not os.path.exists(pid_file):
                await asyncio.sleep(0.01)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            with open(pid_file) as file:
                self.assertFalse(os.path.exists(f"/proc/{int(file.read())}"))

        self.run_async(main())

    def test_timeout_of_asyncio_destroys_the_vm(self) -> None:
        async def main() -> None:
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(self.pyro.run_in_vm_async("fake", "sleep 60"), 0.1)

        before = len(os.listdir("/proc/self/fd"))
        self.run_async(main())
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_cancel_and_errors_arrive_in_the_task(self) -> None:
        async def main() -> None:
            async with self.pyro.start_run_in_vm("fake", "sleep 60") as operation:
                asyncio.get_running_loop().call_later(0.05, operation.cancel)
                with self.assertRaises(libpyro.CancelledError):
                    await operation.wait_async()
            with self.assertRaises(libpyro.BootError):
                await self.pyro.run_in_vm_async("boot-fails", "true")

        self.run_async(main())

    def test_close_wakes_the_task_that_waits(self) -> None:
        async def main(from_thread: bool) -> None:
            operation = self.pyro.start_run_in_vm("fake", "sleep 60")
            if from_thread:
                threading.Timer(0.05, operation.close).start()
            else:
                asyncio.get_running_loop().call_later(0.05, operation.close)
            with self.assertRaises(libpyro.StateError):
                await operation.wait_async()

        self.run_async(main(False))
        self.run_async(main(True))

    def test_a_thread_cannot_wait_where_a_loop_does(self) -> None:
        async def main() -> None:
            async with self.pyro.start_run_in_vm("fake", "sleep 60") as operation:
                task = asyncio.ensure_future(operation.wait_async())
                await asyncio.sleep(0)  # the task runs until it waits
                with self.assertRaisesRegex(libpyro.StateError, "event loop"):
                    operation.next_event(0)
                operation.cancel()
                with self.assertRaises(libpyro.CancelledError):
                    await task

        self.run_async(main())


if __name__ == "__main__":
    unittest.main()
