"""Tasks on real VMs: runs if PYRO_TEST_VM names an environment, such as "debian:12-base"."""
from __future__ import annotations

import os
import unittest

import libpyro
from libpyro import STREAM, Exit, Started, Stdout

ENVIRONMENT = os.environ.get("PYRO_TEST_VM", "")


@unittest.skipUnless(ENVIRONMENT, "PYRO_TEST_VM does not name an environment")
class TaskTest(unittest.TestCase):
    pyro: libpyro.Pyro
    task: libpyro.Task

    @classmethod
    def setUpClass(cls) -> None:
        cls.pyro = libpyro.Pyro()
        cls.task = cls.pyro.create_task(ENVIRONMENT, labels={"suite": "python", "empty": ""}, mem_mib=256)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.pyro.delete_task(cls.task.id)
        cls.pyro.close()

    def test_a_new_task_runs_and_is_found(self) -> None:
        self.assertEqual((self.task.state, self.task.environment, self.task.mem_mib), ("running", ENVIRONMENT, 256))
        self.assertEqual(self.task.labels, {"suite": "python", "empty": ""})
        found = self.pyro.list_tasks(labels={"suite": "python"}, states=["running"])
        self.assertIn(self.task.id, [one.id for one in found])
        self.assertEqual(self.pyro.list_tasks(labels={"suite": "other"}), ())
        self.assertEqual(self.pyro.status_task(self.task.id).state, "running")

    def test_commands_share_what_they_write_and_are_in_the_journal(self) -> None:
        first = self.pyro.exec_task(self.task.id, "echo hello >shared; echo out; echo err >&2; exit 3", env={"A": "b"})
        self.assertEqual((first.exit_code, first.stdout, first.stderr), (3, b"out\n", b"err\n"))
        self.assertEqual((first.task_id, first.start_kind), (self.task.id, "running"))
        second = self.pyro.exec_task(self.task.id, ["cat", "shared"])
        self.assertEqual(second.stdout, b"hello\n")
        self.assertEqual(second.command_number, first.command_number + 1)
        (entry,) = self.pyro.logs_task(self.task.id, first.command_number)
        self.assertEqual((entry.exit_code, entry.stdout, entry.stderr_text), (3, b"out\n", "err\n"))
        self.assertEqual((entry.argv[0], entry.env_names, entry.running), (b"/bin/sh", ("A",), False))

    def test_streamed_input_and_output(self) -> None:
        with self.pyro.start_exec_task(self.task.id, "cat", stdin=STREAM) as operation:
            operation.write_stdin(b"to and fro\n")
            operation.close_stdin()
            events = list(operation)
        self.assertGreater([event for event in events if isinstance(event, Started)][0].command_number, 0)
        self.assertEqual(b"".join(event.data for event in events if isinstance(event, Stdout)), b"to and fro\n")
        self.assertIsInstance(events[-1], Exit)

    def test_what_nobody_waits_for_can_be_followed(self) -> None:
        number = self.pyro.exec_task_detached(self.task.id, "for i in 1 2 3; do echo $i; sleep 0.1; done")
        with self.pyro.follow_task(self.task.id, number) as operation:
            events = list(operation)
        printed = [event for event in events if isinstance(event, Stdout)]
        self.assertEqual(b"".join(event.data for event in printed), b"1\n2\n3\n")
        self.assertEqual({event.command_number for event in printed}, {number})

    def test_closing_an_operation_lets_the_command_go_on(self) -> None:
        with self.pyro.start_exec_task(self.task.id, "echo on; sleep 0.5; echo done >closed") as operation:
            for event in operation:
                if isinstance(event, Stdout):
                    break
        with self.pyro.follow_task(self.task.id) as follow:
            for event in follow:
                break
        result = self.pyro.exec_task(self.task.id, "while ! cat closed 2>/dev/null; do sleep 0.1; done")
        self.assertEqual(result.stdout, b"done\n")

    def test_wrong_use(self) -> None:
        with self.assertRaises(libpyro.NotFoundError):
            self.pyro.status_task("aaaaaaaaaaaa")
        with self.assertRaises(libpyro.InvalidError):
            self.pyro.exec_task("../../etc", "true")
        with self.assertRaises(libpyro.NotFoundError):
            self.pyro.logs_task(self.task.id, 10**6)
        with self.assertRaises(libpyro.InvalidError):
            self.pyro.list_tasks(states=["asleep"])
        with self.assertRaises(libpyro.InvalidError):
            self.pyro.create_task(ENVIRONMENT, labels={"": "x"})
        self.assertFalse(self.pyro.delete_task("aaaaaaaaaaaa"))

    def test_a_stopped_task_says_so_and_starts_again(self) -> None:
        task = self.pyro.create_task(ENVIRONMENT, mem_mib=256, ttl_seconds=None)
        try:
            self.pyro.exec_task(task.id, "echo kept >file")
            self.assertEqual(self.pyro.stop_task(task.id).state, "stopped")
            with self.assertRaisesRegex(libpyro.StateError, "stopped"):
                self.pyro.exec_task(task.id, "true")
            self.assertEqual(self.pyro.start_task(task.id).state, "running")
            self.assertEqual(self.pyro.exec_task(task.id, "cat file").stdout, b"kept\n")
            self.assertGreater(self.pyro.set_task_ttl(task.id, 60).expires_at, 0)
        finally:
            self.assertTrue(self.pyro.delete_task(task.id))

    def test_a_vm_step_by_step(self) -> None:
        vm = self.pyro.create_vm(ENVIRONMENT, mem_mib=256, labels={"of": "python"})
        self.assertEqual((vm.state, self.pyro.status_vm(vm.id).state), ("created", "created"))
        self.assertEqual(self.pyro.start_vm(vm.id).state, "running")
        self.assertIn(vm.id, [one.id for one in self.pyro.list_vms(labels={"of": "python"})])
        result = self.pyro.exec_vm(vm.id, "echo once")
        self.assertEqual((result.stdout, result.vm_id, result.task_id), (b"once\n", vm.id, ""))
        self.assertFalse(self.pyro.delete_vm(vm.id))
        other = self.pyro.create_vm(ENVIRONMENT)
        with self.assertRaises(libpyro.NotFoundError):
            self.pyro.status_task(other.id)
        self.assertTrue(self.pyro.delete_vm(other.id))


if __name__ == "__main__":
    unittest.main()
