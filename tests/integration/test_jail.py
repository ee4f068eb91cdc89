"""The jail of pyro-vm: what it forbids, in the real program, and what a running one still holds."""
import os
import signal
import subprocess
import unittest

from support import BASE, DEADLINE, ENGINE, PYRO, VmTest, helpers, processes, wait_until

PYRO_VM = os.path.join(os.path.dirname(os.path.realpath(PYRO)), "../libexec/pyro/pyro-vm")
KINDS = ("main", "vcpu", "block", "supervisor")
PRIVATE_UID_BASE = 0x70000000
# The software engine is a process of its own below the supervisor.
HAS_ENGINE_PROCESS = ENGINE == "software"

SANITIZED = os.environ.get("PYRO_TEST_SANITIZED") == "1"


def jail_test(*words):
    return subprocess.run([PYRO_VM, "--jail-test", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=30, check=False)


def status_of(pid):
    """/proc/<pid>/status as a dictionary."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


class Attempts(unittest.TestCase):
    def test_every_attempt_is_denied(self):
        names = jail_test().stdout.decode().split()
        self.assertGreater(len(names), 20)
        for kind in KINDS:
            for name in names:
                with self.subTest(kind=kind, attempt=name):
                    done = jail_test(kind, name)
                    if done.returncode != -signal.SIGSYS:
                        self.assertEqual(done.returncode, 0, done)
                        self.assertRegex(done.stdout.decode(), "^denied: (Operation not permitted|Permission denied)$")

    def test_the_classic_ones_end_the_process(self):
        names = ["socket", "execve", "ptrace-parent", "kill-parent", "clone", "mprotect-exec"]
        if not SANITIZED:  # whose runtime may open files for reading, as far as Landlock lets it
            names += ["open", "open-proc"]
        for name in names:
            with self.subTest(name):
                self.assertEqual(jail_test("supervisor", name).returncode, -signal.SIGSYS)

    def test_unknown_words_are_refused(self):
        for words in (("supervisor",), ("supervisor", "nonsense"), ("nobody", "open"), ("main", "open", "more")):
            self.assertEqual(jail_test(*words).returncode, 2)


class Running(VmTest):
    def test_a_running_supervisor_is_confined(self):
        process = subprocess.Popen([PYRO, "run", "--timeout", "none", BASE, "--", "sh", "-c", "echo up; sleep 999"],
                                   stdout=subprocess.PIPE)
        try:
            self.assertEqual(process.stdout.readline(), b"up\n")
            expected = 2 if HAS_ENGINE_PROCESS else 1
            wait_until(lambda: len(helpers() - self.helpers_before) == expected, 5, "no helpers")
            table = processes()
            found = helpers() - self.helpers_before
            supervisor = next(pid for pid in found if table[pid][1] == "pyro-vm")
            for pid in found:
                self.check_privileges(pid, supervisor)
            if HAS_ENGINE_PROCESS:
                self.check_supervisor_of_engine(supervisor)
            if HAS_ENGINE_PROCESS and os.geteuid() == 0:
                self.check_descriptors(supervisor)
                self.check_network((found - {supervisor}).pop())
        finally:
            process.kill()
            process.wait(DEADLINE)
            process.stdout.close()

    def check_privileges(self, pid, supervisor):
        status = status_of(pid)
        self.assertEqual(status["Seccomp"], "2")
        self.assertEqual(status["NoNewPrivs"], "1")
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            self.assertEqual(int(status[kind], 16), 0, kind)
        if os.geteuid() == 0:
            self.assertEqual(set(status["Uid"].split()), {str(PRIVATE_UID_BASE + supervisor)})
            self.assertEqual(int(status["CapBnd"], 16), 0)
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            self.assertRegex(file.read(), r"Max core file size +0 +0 ")

    def check_supervisor_of_engine(self, supervisor):
        with open(f"/proc/{supervisor}/limits", encoding="ascii") as file:
            self.assertRegex(file.read(), r"Max file size +0 +0 ")
        self.assertEqual(status_of(supervisor)["Threads"], "1")

    def check_descriptors(self, supervisor):
        """Nothing of the file system but /dev/null, its own account of memory, and the file that its slot is a lock of."""
        for number in os.listdir(f"/proc/{supervisor}/fd"):
            target = os.readlink(f"/proc/{supervisor}/fd/{number}")
            slots = os.path.join(os.path.realpath(os.environ["PYRO_HOME"]), "slots")
            allowed = target in ("/dev/null", f"/proc/{supervisor}/smaps_rollup", slots) or not target.startswith("/")
            self.assertTrue(allowed, target)

    def check_network(self, engine):
        self.assertNotEqual(os.readlink(f"/proc/{engine}/ns/net"), os.readlink("/proc/self/ns/net"))


if __name__ == "__main__":
    unittest.main()
