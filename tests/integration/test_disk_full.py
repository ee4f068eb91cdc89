"""The host's disk fills up under a task: what runs goes on, what cannot be kept is refused, and nothing that was told is lost."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from support import BASE, VmTest, pyro, wait_until

DISK_MIB = 48


class DiskFull(VmTest):
    """A home whose folder of VMs is a small file system of its own."""

    def setUp(self):
        super().setUp()
        if os.getuid() != 0:
            self.skipTest("mounting a small file system takes root")
        self.home = tempfile.mkdtemp(prefix="pyro-full-", dir=os.environ["PYRO_HOME"])
        self.addCleanup(shutil.rmtree, self.home)
        os.symlink(os.path.join(os.environ["PYRO_HOME"], "environments"), os.path.join(self.home, "environments"))
        self.vms = os.path.join(self.home, "vms")
        os.mkdir(self.vms, 0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0700", "pyro-full", self.vms], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.vms], check=True)
        self.env = {**os.environ, "PYRO_HOME": self.home}
        self.task_id = self.pyro("create", BASE).stdout.decode().strip()
        self.addCleanup(self.pyro, "delete", self.task_id)

    def tearDown(self):
        self.doCleanups()
        super().tearDown()

    def pyro(self, action, *args, succeeds=True):
        """pyro task ACTION."""
        done = pyro("task", action, *args, env=self.env)
        if succeeds:
            self.assertEqual(done.returncode, 0, done)
        return done

    def execute(self, line, **more):
        """A shell line in the task."""
        return self.pyro("exec", self.task_id, "-c", line, **more)

    def fill(self):
        """Leaves no byte free."""
        with open(os.path.join(self.vms, "filler"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        self.assertEqual(shutil.disk_usage(self.vms).free, 0)

    def make_room(self):
        """The opposite."""
        os.unlink(os.path.join(self.vms, "filler"))

    def commands(self):
        """What the journal says."""
        return json.loads(self.pyro("logs", "--json", self.task_id).stdout)["commands"]

    def test_in_the_middle_of_a_command_it_goes_on_and_the_journal_says_what_is_missing(self):
        self.execute("sync")  # nothing of the guest's own is left to write
        line = "echo before; read x; head -c 3000000 /dev/zero | tr '\\0' a; echo after >&2; exit 3"
        with subprocess.Popen([os.environ["PYRO_BIN"], "task", "exec", self.task_id, "-c", line], env=self.env,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            self.assertEqual(client.stdout.read(7), b"before\n")
            self.fill()
            out, err = client.communicate(b"go\n", timeout=120)
        self.assertEqual((client.returncode, len(out), err), (3, 3000000, b"after\n"))
        # The last page of the file still has room for a few records.
        line = "true " + "x" * 1000
        refused = next((done for done in (self.execute(line, succeeds=False) for _ in range(8)) if done.returncode != 0), None)
        self.assertEqual(refused and refused.returncode, 125)
        self.assertIn(b"cannot write the task's journal: No space left on device", refused.stderr)
        self.make_room()
        self.assertEqual(self.execute("echo again").stdout, b"again\n")
        found = {entry["number"]: entry for entry in self.commands()}
        self.assertEqual([number for number in sorted(found) if "exit_code" in found[number]][-1], max(found), found)
        self.assertEqual(found[max(found)]["exit_code"], 0)
        kept = self.pyro("logs", self.task_id, "2").stdout
        self.assertTrue(kept.startswith(b"before\n"), kept[:40])
        self.assertLess(len(kept), 3000000)

    def test_a_guest_that_cannot_write_tells_no_exit_and_starts_again_with_what_it_told(self):
        self.assertEqual(self.execute("echo kept >kept; exit 4", succeeds=False).returncode, 4)
        self.fill()
        lost = self.execute("head -c 20M /dev/urandom >lost; sync; echo done >told", succeeds=False)
        self.assertEqual(lost.returncode, 125, lost)

        def state():
            return json.loads(self.pyro("status", "--json", self.task_id).stdout)["tasks"][0]
        wait_until(lambda: state()["state"] == "failed", 30, "the task does not fail")
        self.assertIn("disk full", state()["reason"])
        self.make_room()
        self.pyro("start", self.task_id)
        self.assertEqual(self.execute("cat kept").stdout, b"kept\n")

    def test_no_room_for_a_new_task_is_said_and_leaves_nothing(self):
        self.fill()
        refused = self.pyro("create", BASE, succeeds=False)
        self.assertEqual(refused.returncode, 125)
        self.assertIn(b"space", refused.stderr)
        self.make_room()
        self.assertEqual(sorted(name for name in os.listdir(self.vms) if not name.startswith(".")), [self.task_id])


if __name__ == "__main__":
    unittest.main()
