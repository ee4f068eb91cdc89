"""A guest that attacks the machine it runs in: it loses its device or its life, and the supervisor says which.

Runs tests/integration/guest/hostile.c as a command.
"""
import json
import os
import time
import unittest

from support import BASE, ENGINE, VmTest, run_json
from test_registry import RegistryTest

HOSTILE = os.path.join(os.environ.get("PYRO_TEST_BINARY_DIR", os.path.join(os.path.dirname(__file__), "../../build")),
                       "tests/integration/hostile")
# Of virtio's device types those that a guest can do without for as long as a command runs.
NET, RNG, BALLOON = 1, 4, 5
# The disk, and the root image.
BLOCK, PMEM = 2, 27
# The console's ring log ends; a device is reported once.
MAX_CONSOLE_BYTES = 64 * 1024


class HostileGuest(VmTest):
    def attack(self, *words, then="true", timeout="60", options=()):
        """Runs hostile with `words` in a VM, and after it `then`."""
        with open(HOSTILE, "rb") as file:
            program = file.read()
        script = f"cat >/tmp/hostile && chmod +x /tmp/hostile && /tmp/hostile {' '.join(words)} && {then}"
        start = time.monotonic()
        result = run_json(BASE, "sh", "-c", script, stdin=program,
                          options=("--timeout", timeout, "--boot-timeout", "120", *options))
        result["seconds"] = time.monotonic() - start
        return result

    def check_survives(self, *words):
        # Afterwards the disk and both directions of the console still do their work.
        result = self.attack(*words, then="head -c 1M /dev/zero >/workspace/f && sync && wc -c </workspace/f")
        self.assertEqual(result.get("exit_code"), 0, result)
        self.assertRegex(result["stdout"], r"^survived [0-9]+\n1048576\n$", result)
        self.assertEqual(result["engine"], ENGINE)

    def check_end(self, how, *words, seconds=60, options=()):
        """The VM is lost, in time, and the message tells why: the error."""
        result = self.attack("end", how, options=options)
        self.assertIn("error", result, result)
        self.assertEqual(result["error"]["code"], "outcome_unknown", result)
        for word in words:
            self.assertIn(word, result["error"]["message"], result)
        self.assertLess(result["seconds"], seconds, result)
        self.assertLess(len(str(result)), MAX_CONSOLE_BYTES)
        return result["error"]

    def test_ends_are_told_apart(self):
        self.check_end("power-off", "powered itself off")
        self.check_end("reboot", "rebooted")
        self.check_end("panic", "panicked")
        self.check_end("triple-fault", "triple fault" if ENGINE == "kvm" else "rebooted")
        for vcpu_count in ("1", "2"):
            self.check_end("halt", "all its CPUs are halted with interrupts disabled", seconds=90,
                           options=("--vcpu-count", vcpu_count))

    @unittest.skipUnless(ENGINE == "kvm", "these are attacks on our own devices")
    def test_every_port(self):
        self.check_survives("ports")

    @unittest.skipUnless(ENGINE == "kvm", "these are attacks on our own devices")
    def test_registers_in_all_widths_and_alignments(self):
        for device in (NET, RNG, BALLOON):
            with self.subTest(device=device):
                self.check_survives("registers", str(device))

    @unittest.skipUnless(ENGINE == "kvm", "these are attacks on our own devices")
    def test_queues_that_break_the_rules(self):
        for device in (NET, RNG):
            with self.subTest(device=device):
                self.check_survives("rings", str(device))
        # This one gives away whatever memory it is told to, that of the guest's own kernel too.
        result = self.attack("rings", str(BALLOON))
        if "error" in result:
            self.assertEqual(result["error"]["code"], "outcome_unknown", result)
            self.assertNotIn("engine", result["error"]["message"], result)
        else:
            self.assertEqual(result["exit_code"], 0, result)

    @unittest.skipUnless(ENGINE == "kvm", "these are attacks on our own devices")
    def test_a_broken_disk_is_lost_and_the_console_stays(self):
        result = self.attack("all", str(BLOCK), then="sync; for i in 1 2; do touch /workspace/$i; sync; done; echo on")
        self.assertEqual(result.get("exit_code"), 0, result)
        self.assertRegex(result["stdout"], r"^survived [0-9]+\nsurvived [0-9]+\non\n", result)
        self.assertRegex(result["stderr"], "cannot touch '/workspace/2': (Read-only file system|Input/output error)")
        self.assertEqual(result["engine"], ENGINE)

    @unittest.skipUnless(ENGINE == "kvm", "these are attacks on our own devices")
    def test_a_broken_root_image_costs_the_command_that_reads_it(self):
        result = self.attack("all", str(PMEM), then="exec /usr/bin/perl -e 'print 1'")
        self.assertRegex(result.get("stdout", ""), r"^survived [0-9]+\nsurvived [0-9]+\n$", result)
        # The guest's own kernel takes the memory away.
        self.assertNotEqual(result["exit_code"], 0, result)
        self.assertFalse(result["timed_out"], result)

    @unittest.skipUnless(ENGINE == "kvm", "these are attacks on our own devices")
    def test_a_console_whose_driver_lies_ends_the_vm(self):
        error = self.check_end("console")
        # The queues that carry nothing to the supervisor come first. The agent is stopped: on a slow machine its silence
        # comes before what the others carry.
        self.assertRegex(error["message"], "the guest broke the protocol|has not answered for 10 s although its CPUs ran")
        self.assertRegex(error["console"], "(?s)the guest broke a device.*survived [0-9]+")


class Flood(RegistryTest):
    """A guest that writes to its serial console without end."""

    # Each byte is an exit: as much as takes some ten seconds. More than the console's ring in any case.
    KIB = 320 if ENGINE == "kvm" else 8192
    # The ring is 128 KiB at most, a string that grows may have twice that. One that kept all would have more.
    MAX_GROWTH_KIB = 300

    def test_the_console_takes_no_memory_and_no_disk(self):
        task_id = self.create_task()
        folder = os.path.join(self.home, "vms", task_id)
        with open(os.path.join(folder, "run.json"), encoding="utf-8") as file:
            supervisor = json.load(file)["pid"]
        with open(HOSTILE, "rb") as file:
            script = "cat >/run/hostile && chmod +x /run/hostile && mknod /dev/ttyS0 c 4 64 && /run/hostile flood 0"
            self.assertEqual(self.run_pyro("task", "exec", task_id, "-c", script, stdin=file.read()).returncode, 0)
        own, files = self.own_kib(supervisor), self.file_bytes(folder)
        # Around the driver, and through it.
        script = f"/run/hostile flood {self.KIB}; head -c 16K /dev/zero >/dev/ttyS0; echo $?; exit 7"
        done = self.run_pyro("task", "exec", "--timeout", "200", task_id, "-c", script)
        self.assertEqual((done.returncode, done.stdout), (7, b"survived %d\n0\n" % (self.KIB << 10)), done)
        self.assertLess(self.file_bytes(folder), files + 64 * 1024)
        if os.geteuid() != 0:
            self.skipTest("only root may see what memory a supervisor has")
        self.assertLess(self.own_kib(supervisor), own + self.MAX_GROWTH_KIB)

    def own_kib(self, pid):
        """Memory of a supervisor that is not the guest's: none of its own mappings is large. Root only, else 0."""
        total = size = 0
        if os.geteuid() != 0:
            return total
        with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
            for line in file:
                words = line.split()
                if words[0] == "Size:":
                    size = int(words[1])
                elif words[0] == "Pss:" and size < 64 * 1024:
                    total += int(words[1])
        self.assertGreater(total, 0)
        return total

    def file_bytes(self, folder):
        """What the files of a task take, all but its disk."""
        return sum(os.stat(os.path.join(folder, name)).st_size for name in os.listdir(folder) if name != "disk")


if __name__ == "__main__":
    unittest.main()
