"""What people look at: list, status and top, and the same as JSON."""
import json
import subprocess
import time
import unittest

from support import BASE, DEADLINE, ENGINE, PYRO, VmTest, pyro, wait_until
from test_attach import Terminal, task


def snapshot(task_id, *options):
    """What `top` says of a task; nothing: it is not there."""
    done = pyro("top", "--json", *options)
    if done.returncode != 0:
        raise AssertionError(repr(done))
    return {vm["id"]: vm for vm in json.loads(done.stdout)["vms"]}.get(task_id)


class Views(VmTest):
    """One task, looked at."""

    def setUp(self):
        super().setUp()
        self.task_id = task("create", "--label", "view=1", "--max-lifetime", "600", BASE).strip()
        self.addCleanup(task, "delete", self.task_id)

    def tearDown(self):
        self.doCleanups()
        super().tearDown()

    def test_figures_are_those_of_its_processes(self):
        task("exec", self.task_id, "-c", "head -c 5000000 /dev/urandom >file; sync")
        idle = snapshot(self.task_id)
        self.assertGreater(idle["disk_used_bytes"], 5_000_000)
        self.assertEqual((idle["kind"], idle["state"], idle["engine"]), ("task", "running", ENGINE))
        self.assertGreater(idle["host_memory_bytes"], 20 << 20)
        self.assertLess(idle["host_memory_bytes"], 2 << 30)
        self.assertGreater(idle["host_cpu_time_ms"], 0)
        task("exec", "-d", "--timeout", "100", self.task_id, "-c", "while :; do :; done")
        wait_until(lambda: snapshot(self.task_id)["cpu_percent"] > 20, DEADLINE, "a busy VM uses no CPU")
        began, before = time.monotonic(), snapshot(self.task_id)["host_cpu_time_ms"]
        time.sleep(1)
        used = snapshot(self.task_id)["host_cpu_time_ms"] - before
        # One vCPU and a little for the rest.
        self.assertLess(used, (time.monotonic() - began) * 1000 * 1.6 + 200)
        found = json.loads(task("status", "--json", self.task_id))["tasks"][0]
        self.assertGreaterEqual(found["host_cpu_time_ms"], before + used)
        self.assertGreater(snapshot(self.task_id)["uptime_seconds"], idle["uptime_seconds"])
        self.assertRegex(task("status", self.task_id), r"(?m)^memory +\d+ MiB of the host's$")
        for words, columns in ((("task", "list"), {"ID", "STATE"}), (("top",), {"ID", "CPU%"})):
            self.assertLessEqual(columns, set(pyro(*words).stdout.decode().splitlines()[0].split()), words)
        row = [line for line in task("list").splitlines() if self.task_id in line]
        self.assertEqual(len(row), 1)
        self.assertIn("view=1", row[0])
        task("stop", self.task_id)
        self.assertIsNone(snapshot(self.task_id))
        found = json.loads(task("status", "--json", self.task_id))["tasks"][0]
        self.assertEqual((found["host_memory_bytes"], found["host_cpu_time_ms"]), (0, 0))

    def test_top_on_a_terminal_redraws_until_q_and_leaves_it_as_it_was(self):
        for end in (b"q", b"\x03"):
            terminal = Terminal("top", "--interval", "0.2", columns=150)
            self.addCleanup(terminal.close)
            for _ in range(3):
                terminal.expect(b"q quits")
                terminal.expect(self.task_id.encode())
            self.assertTrue(terminal.is_raw())
            terminal.type(end)
            self.assertEqual(terminal.wait(), 0)
            self.assertTrue(terminal.is_as_before())
            self.assertTrue(terminal.seen.endswith(b"\x1b[?1049l"))

    def test_top_elsewhere_is_one_look_or_a_line_each(self):
        done = pyro("top")
        self.assertEqual(done.returncode, 0)
        self.assertIn(self.task_id, done.stdout.decode())
        self.assertNotIn(b"\x1b", done.stdout)
        with subprocess.Popen([PYRO, "top", "--json", "--interval", "0.1"], stdout=subprocess.PIPE) as process:
            looks = [json.loads(process.stdout.readline()) for _ in range(3)]
            process.terminate()
            process.wait(DEADLINE)
        self.assertEqual(process.returncode, 143)
        self.assertTrue(all(self.task_id in [vm["id"] for vm in look["vms"]] for look in looks))
        self.assertEqual(pyro("top", "--interval", "0").returncode, 125)


if __name__ == "__main__":
    unittest.main(verbosity=2)
