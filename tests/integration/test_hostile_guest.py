"""A guest that attacks the machine it runs in: it loses its device or its life, and the supervisor says which.

Runs tests/integration/guest/hostile.c as a command.
"""
import os
import time
import unittest

from support import BASE, ENGINE, VmTest, run_json

HOSTILE = os.path.join(os.environ.get("PYRO_TEST_BINARY_DIR", os.path.join(os.path.dirname(__file__), "../../build")),
                       "tests/integration/hostile")
# Of virtio's device types those that a guest can do without for as long as a command runs.
NET, RNG, BALLOON = 1, 4, 5
# The console's ring log ends; a device is reported once.
MAX_CONSOLE_BYTES = 64 * 1024


class HostileGuest(VmTest):
    def attack(self, *words, then="true", timeout="60"):
        """Runs hostile with `words` in a VM, and after it `then`."""
        with open(HOSTILE, "rb") as file:
            program = file.read()
        script = f"cat >/tmp/hostile && chmod +x /tmp/hostile && /tmp/hostile {' '.join(words)} && {then}"
        start = time.monotonic()
        result = run_json(BASE, "sh", "-c", script, stdin=program,
                          options=("--timeout", timeout, "--boot-timeout", "120"))
        result["seconds"] = time.monotonic() - start
        return result

    def check_survives(self, *words):
        # Afterwards the disk and both directions of the console still do their work.
        result = self.attack(*words, then="head -c 1M /dev/zero >/workspace/f && sync && wc -c </workspace/f")
        self.assertEqual(result.get("exit_code"), 0, result)
        self.assertRegex(result["stdout"], r"^survived [0-9]+\n1048576\n$", result)
        self.assertEqual(result["engine"], ENGINE)

    def check_end(self, how, *words, seconds=60):
        """The VM is lost, in time, and the message tells why."""
        result = self.attack("end", how)
        self.assertIn("error", result, result)
        self.assertEqual(result["error"]["code"], "outcome_unknown", result)
        for word in words:
            self.assertIn(word, result["error"]["message"], result)
        self.assertLess(result["seconds"], seconds, result)
        self.assertLess(len(str(result)), MAX_CONSOLE_BYTES)
        return result["error"]["message"]

    def test_ends_are_told_apart(self):
        self.check_end("power-off", "powered itself off")
        self.check_end("reboot", "rebooted")
        self.check_end("panic", "panicked")
        self.check_end("triple-fault", "triple fault" if ENGINE == "kvm" else "rebooted")
        self.check_end("halt", "halted with interrupts disabled", seconds=90)

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


if __name__ == "__main__":
    unittest.main()
