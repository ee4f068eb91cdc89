"""What the integration tests share: running pyro, watching processes, waiting for a state.

The environment names what is tested: PYRO_BIN (the pyro program), PYRO_HOME (a home with the
environments built), PYRO_ENGINE (software or kvm).
"""
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

PYRO = os.environ.get("PYRO_BIN", os.path.join(os.path.dirname(__file__), "../../build/bin/pyro"))
BASE = "debian:12-base"
ENGINE = os.environ.get("PYRO_ENGINE") or "software"
# A VM that is never going to answer must not hold up the run; no test comes near this.
DEADLINE = 240


def pyro(*args, stdin=b"", timeout=DEADLINE, env=None, **options):
    """Runs pyro to its end and gives the CompletedProcess, output as bytes."""
    return subprocess.run([PYRO, *args], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout, env=env, check=False, **options)


def run(environment, *command, options=(), **more):
    """pyro run environment -- command."""
    return pyro("run", *options, environment, "--", *command, **more)


def run_json(environment, *command, options=(), **more):
    """pyro run --json: the result object. A failure of pyro itself raises AssertionError."""
    done = run(environment, *command, options=("--json", *options), **more)
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise AssertionError(f"no JSON: {done!r}") from error


def wait_until(condition, seconds, what):
    """Polls until condition() is true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s: {what}")
        time.sleep(0.01)


def processes():
    """All processes as {pid: (parent, name)}."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                    text = stat.read()
            except OSError:
                continue
            name = text[text.index("(") + 1:text.rindex(")")]
            state, parent = text[text.rindex(")") + 2:].split()[:2]
            if state != "Z":
                found[int(entry)] = (int(parent), name)
    return found


def holds_files_of_this_run(pid):
    """Whether a process has files of our PYRO_HOME open. Supervisors show theirs to root only; then yes."""
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except PermissionError:
        return True
    except OSError:
        return False
    home = os.path.realpath(os.environ["PYRO_HOME"])
    for number in numbers:
        try:
            if os.readlink(f"/proc/{pid}/fd/{number}").startswith(home):
                return True
        except OSError:
            continue
    return False


def is_of_this_run(pid):
    """Whether a helper is ours: other VMs of this machine are none of our business.

    A supervisor gives its files away to its engine; then the engine tells.
    """
    return any(holds_files_of_this_run(one) for one in {pid} | descendants(pid))


def helpers():
    """Pids of the running supervisors and engines of this run.

    The engine is executed by descriptor, so its name is a number: it is known by its arguments.
    """
    found = set()
    for pid, (_, name) in processes().items():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        is_engine = words[0] == b"qemu-system-x86_64" and b"name=pyro.agent" in b"".join(words)
        if (name == "pyro-vm" or is_engine) and is_of_this_run(pid):
            found.add(pid)
    return found


def descendants(pid):
    """All processes below pid."""
    table = processes()
    found = set()
    grew = True
    while grew:
        grew = False
        for child, (parent, _) in table.items():
            if child not in found and (parent == pid or parent in found):
                found.add(child)
                grew = True
    return found


def kill(pid):
    """kill -9, if it is still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class VmTest(unittest.TestCase):
    """A test after which no VM of its own may be left."""

    def setUp(self):
        self.helpers_before = helpers()

    def tearDown(self):
        wait_until(lambda: not self.left_over(), 4, "helper processes are left over")

    def left_over(self):
        """Helpers that were not there when the test began."""
        return helpers() - self.helpers_before


class HomeOfUser:
    """For a RegistryTest that is run by root: a home folder of a user who is not, in group kvm."""

    USER = 65534

    def give_home_to_user(self):
        """Makes another one, below the one so far."""
        if os.geteuid() != 0:
            self.skipTest("only root can be another user")
        if not os.path.exists("/dev/kvm"):
            self.skipTest("no /dev/kvm here")
        # mkdtemp() makes what only its owner may enter.
        os.chmod(self.home, 0o755)
        self.home = os.path.join(self.home, "of-user")
        # A home is its user's alone, so that environments cannot be shared; the smallest one's files will do.
        shutil.copytree(os.path.join(os.environ["PYRO_HOME"], "environments"), os.path.join(self.home, "environments"),
                        ignore=lambda folder, names: [name for name in names if name == "tmp" or
                                                      os.path.getsize(os.path.join(folder, name)) > 100 << 20])
        subprocess.run(["chown", "-R", f"{self.USER}:{self.USER}", self.home], check=True)
        os.chmod(self.home, 0o700)
        self.env.update(PYRO_HOME=self.home, HOME=self.home, PYRO=PYRO)

    def start_as_user(self, script, own_cgroup=None):
        """A shell of the user with that script, which starts in that cgroup: its process."""
        def become():
            if own_cgroup:
                with open(os.path.join(own_cgroup, "cgroup.procs"), "w", encoding="ascii") as file:
                    file.write("0")
            os.setgroups([os.stat("/dev/kvm").st_gid])
            os.setgid(self.USER)
            os.setuid(self.USER)
        # pylint: disable-next=subprocess-popen-preexec-fn
        return subprocess.Popen(["sh", "-ec", script], env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, preexec_fn=become, cwd="/")
