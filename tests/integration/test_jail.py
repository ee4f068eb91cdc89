"""The jail of pyro-vm: what it forbids, in the real program, and what a running one still holds."""
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from support import BASE, DEADLINE, ENGINE, PYRO, HomeOfUser, VmTest, descendants, processes, wait_until
from test_registry import RegistryTest

PYRO_VM = os.path.join(os.path.dirname(os.path.realpath(PYRO)), "../libexec/pyro/pyro-vm")
KINDS = ("main", "vcpu", "block", "supervisor")
RULES = os.path.join(os.path.dirname(__file__), "../../src/jail/seccomp_rules.cpp")
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


def thread_names(pid):
    """Its threads as {tid: name}, without those that KVM runs in the name of the process."""
    names = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="utf-8") as file:
            name = file.read().strip()
        if not name.startswith("kvm-"):
            names[int(tid)] = name
    return names


def allowed_calls(kind):
    """Names of the system calls that the table behind the filters has for a kind of thread, without those of sanitizers."""
    with open(RULES, encoding="utf-8") as file:
        text = file.read()
    text = text[:text.index("sanitizer_rules()")]
    sets = dict(re.findall(r"constexpr unsigned (k\w+) = ([^;]+);", text))

    def has(words):
        """Whether the kind is in a set such as "kMain | kBlock"."""
        return any(word == f"bit(ThreadKind::{kind})" or word in sets and has(sets[word]) for word in words.split(" | "))
    return {name for name, words in re.findall(r'\{"(\w+)",\s*([\w |]+),', text) if has(words)}


class Running(VmTest):
    def start(self):
        """A VM with two vCPUs that runs the lines of its input: its process."""
        process = subprocess.Popen([PYRO, "run", "--timeout", str(DEADLINE), "--vcpu-count", "2", BASE, "--", "sh", "-c",
                                    'echo up; while read -r line; do eval "$line"; done'],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.wait, DEADLINE)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), b"up\n")
        expected = 2 if HAS_ENGINE_PROCESS else 1
        wait_until(lambda: len(self.left_over()) == expected, 5, "no helpers")
        return process

    def supervisor(self):
        table = processes()
        return next(pid for pid in self.left_over() if table[pid][1] == "pyro-vm")

    def tearDown(self):
        self.doCleanups()
        super().tearDown()

    def test_a_running_supervisor_is_confined(self):
        self.start()
        found, supervisor = self.left_over(), self.supervisor()
        for pid in found:
            for tid in thread_names(pid):
                self.check_privileges(f"{pid}/task/{tid}", supervisor)
            with open(f"/proc/{pid}/limits", encoding="ascii") as file:
                self.assertRegex(file.read(), r"Max core file size +0 +0 ")
        if HAS_ENGINE_PROCESS:
            self.check_supervisor_of_engine(supervisor)
        else:
            self.assertEqual(sorted(thread_names(supervisor).values()), ["pyro-block", "pyro-vcpu-0", "pyro-vcpu-1", "pyro-vm"])
        if HAS_ENGINE_PROCESS and os.geteuid() == 0:
            self.check_descriptors(supervisor)
            self.check_network((found - {supervisor}).pop())

    @unittest.skipIf(HAS_ENGINE_PROCESS, "QEMU has its own filter")
    @unittest.skipUnless(shutil.which("strace") and os.geteuid() == 0, "no strace here, or no root")
    def test_a_running_monitor_makes_no_call_that_is_not_in_the_table(self):
        process = self.start()
        supervisor = self.supervisor()
        threads = thread_names(supervisor)
        calls = collections.defaultdict(set)
        with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as trace:
            # Also the requests of ioctl, and no data.
            with subprocess.Popen(["strace", "-f", "-s", "0", "-p", str(supervisor), "-o", trace.name],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as tracer:
                try:
                    wait_until(lambda: os.path.getsize(trace.name) > 0, 30, "strace does not trace")
                    for line in (b"head -c 3M /dev/urandom >f; sync; echo 3 >/proc/sys/vm/drop_caches; wc -c <f",
                                 b"rm f; sync; fstrim /workspace; echo $?",
                                 b"for i in 1 2 3 4; do head -c 100 /dev/urandom | od & done >/dev/null; wait; echo $?"):
                        process.stdin.write(line + b"\n")
                        process.stdin.flush()
                        self.assertEqual(process.stdout.readline(), b"3145728\n" if b"wc" in line else b"0\n")
                finally:
                    tracer.send_signal(signal.SIGINT)
                    tracer.communicate(timeout=DEADLINE)
            for line in trace:
                # A call, or the end of one that another thread's came between.
                if call := re.match(r"(\d+) +(?:<\.\.\. )?(\w+)(?:\(\d+, (KVM_\w+)| resumed|\()", line):
                    calls[threads[int(call[1])]].update(filter(None, call.groups()[1:]))
        self.assertIsNone(process.poll())
        self.assertIn("KVM_RUN", calls["pyro-vcpu-0"] | calls["pyro-vcpu-1"])
        self.assertTrue(calls["pyro-block"] & {"pwritev", "pwritev2", "pwrite64"}, calls)
        self.assertIn("epoll_wait", calls["pyro-vm"])
        requests = {"main": {"KVM_GET_REGS", "KVM_GET_MP_STATE"}, "vcpu": {"KVM_RUN"}, "block": set()}
        for name, made in calls.items():
            kind = "main" if name == "pyro-vm" else name.split("-")[1]
            allowed = allowed_calls(kind)
            self.assertIn("futex", allowed)
            self.assertEqual("preadv" in allowed, kind == "block")
            self.assertEqual(made - allowed - requests[kind], set(), name)

    def check_privileges(self, task, supervisor):
        status = status_of(task)
        self.assertEqual(status["Seccomp"], "2", status)
        self.assertEqual(status["NoNewPrivs"], "1")
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            self.assertEqual(int(status[kind], 16), 0, kind)
        if os.geteuid() == 0:
            self.assertEqual(set(status["Uid"].split()), {str(PRIVATE_UID_BASE + supervisor)})
            self.assertEqual(int(status["CapBnd"], 16), 0)

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


@unittest.skipUnless(ENGINE == "kvm", "a user needs a group for the kvm engine only")
class NotRoot(HomeOfUser, RegistryTest):
    def supervisors_below(self, pid):
        table = processes()
        return [one for one in descendants(pid) if table.get(one, (0, ""))[1] == "pyro-vm"]

    def test_a_user_in_group_kvm_runs_a_command_in_a_confined_vm(self):
        self.give_home_to_user()
        script = f'exec "$PYRO" run --json --timeout 200 {BASE} -- sh -c "id -u; cat"'
        with self.start_as_user(script) as process:
            self.addCleanup(process.kill)
            wait_until(lambda: process.poll() or self.supervisors_below(process.pid), DEADLINE, "no pyro-vm")
            found = self.supervisors_below(process.pid)
            self.assertEqual(len(found), 1)
            # Each thread installs its own.
            wait_until(lambda: process.poll() or len(thread_names(found[0])) >= 3 and
                       all(status_of(f"{found[0]}/task/{tid}")["Seccomp"] == "2" for tid in thread_names(found[0])),
                       DEADLINE, "it is not confined")
            for tid in thread_names(found[0]):
                status = status_of(f"{found[0]}/task/{tid}")
                self.assertEqual((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"))
                self.assertEqual({int(status[kind], 16) for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")}, {0})
                self.assertEqual(set(status["Uid"].split()), {str(self.USER)})
            out, err = process.communicate(b"input", timeout=DEADLINE)
        result = json.loads(out)
        self.assertEqual((result["engine"], result["exit_code"], result["stdout"]), ("kvm", 0, "0\ninput"), (result, err))
        wait_until(lambda: found[0] not in processes(), 4, "pyro-vm is left over")


if __name__ == "__main__":
    unittest.main()
