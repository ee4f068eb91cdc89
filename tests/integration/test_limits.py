"""Caps for all VMs of a home folder together: never overshot, refused with the figures, freed at once."""
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from support import BASE, DEADLINE, ENGINE, PYRO, HomeOfUser, kill, pyro, wait_until
from test_registry import RegistryTest

import libpyro

SMALL = ("--memory", "256", "--boot-timeout", "200")


def fork_sleeper():
    """A child that does nothing, with all that this process has open."""
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    return child


class LimitsTest(RegistryTest):
    """With what is in use, as doctor says it."""

    def limits(self, **caps):
        """The check of that name."""
        env = {**self.env, **caps}
        checks = json.loads(pyro("doctor", "--json", env=env).stdout)["checks"]
        return next(check for check in checks if check["name"] == "limits")

    def vms(self):
        """How many run."""
        return int(self.limits()["message"].split()[0])

    def sleeper(self, **env):
        """A one-shot that runs until it is killed."""
        process = subprocess.Popen([PYRO, "run", *SMALL, "--timeout", "500", BASE, "--", "sh", "-c", "echo on; sleep 500"],
                                   env={**self.env, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process


def cgroup_with_cpu():
    """A directory of cgroup version 2 whose children may have the CPU controller; None: there is none."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        mounts = [line.split()[1] for line in file if line.split()[2] == "cgroup2"]
    for mount in mounts if os.geteuid() == 0 else ():
        with open(os.path.join(mount, "cgroup.controllers"), encoding="ascii") as file:
            if "cpu" in file.read().split():
                return mount
    return None


class CgroupTest(LimitsTest):
    """With a cgroup for those of VMs."""

    def setUp(self):
        super().setUp()
        mount = cgroup_with_cpu()
        if mount is None:
            self.skipTest("no cgroup of version 2 with the CPU controller here, or no root")
        with open(os.path.join(mount, "cgroup.subtree_control"), "w", encoding="ascii") as file:
            file.write("+cpu")
        self.cgroup = tempfile.mkdtemp(prefix="pyro-test-", dir=mount)
        self.addCleanup(os.rmdir, self.cgroup)
        self.env["PYRO_CGROUP"] = self.cgroup

    def cgroups(self):
        """Names of those of VMs."""
        return {name for name in os.listdir(self.cgroup) if name.startswith("pyro-")}

    def check_swept(self):
        """None is left; a process that has only just ended may still be in one."""
        def swept():
            self.output("task", "reap")
            return not self.cgroups()
        wait_until(swept, 5, "a cgroup is left")

    def used(self, task_id):
        """CPU time of a VM, microseconds."""
        with open(os.path.join(self.cgroup, "pyro-" + task_id, "cpu.stat"), encoding="ascii") as file:
            return int(next(line.split()[1] for line in file if line.startswith("usage_usec")))


class Shares(CgroupTest):
    """Equal shares of CPU, in cgroups."""

    def test_one_busy_loop_gets_as_much_as_four(self):
        cpus = os.sched_getaffinity(0)
        self.addCleanup(os.sched_setaffinity, 0, cpus)
        # All on one CPU, VMs included: else there is nothing to share.
        os.sched_setaffinity(0, {min(cpus)})
        few = self.create_task()
        many = self.output("task", "create", "--memory", "256", "--cpus", "4", "--max-lifetime", "600", BASE).strip()
        self.addCleanup(self.output, "task", "delete", many)
        self.assertEqual(self.cgroups(), {"pyro-" + few, "pyro-" + many})
        for task_id, loops in ((few, 1), (many, 4)):
            for _ in range(loops):
                self.output("task", "exec", "-d", "--timeout", "300", task_id, "-c", "while :; do :; done")
        time.sleep(3)
        before = {one: self.used(one) for one in (few, many)}
        time.sleep(10)
        spent = {one: self.used(one) - before[one] for one in (few, many)}
        self.assertLess(0.8, spent[few] / spent[many], spent)
        self.assertLess(spent[few] / spent[many], 1.25, spent)

    def test_a_cgroup_goes_with_its_vm_whoever_is_killed(self):
        self.assertEqual(self.run_pyro("run", *SMALL, BASE, "--", "true").returncode, 0)
        task_id = self.create_task()
        self.assertEqual(self.cgroups(), {"pyro-" + task_id})
        with open(os.path.join(self.home, "vms", task_id, "run.json"), encoding="utf-8") as file:
            kill(json.load(file)["pid"])
        wait_until(lambda: not self.left_over(), 5, "the VM goes on")
        self.check_swept()
        self.output("task", "start", task_id)
        self.assertEqual(self.cgroups(), {"pyro-" + task_id})
        self.output("task", "delete", task_id)
        self.check_swept()
        checks = json.loads(self.output("doctor", "--json"))["checks"]
        self.assertIn(self.cgroup, next(check["message"] for check in checks if check["name"] == "cpu-shares"))

    def test_a_child_that_is_forked_during_a_start_does_not_keep_the_cgroup(self):
        with libpyro.Pyro(home=self.home, cgroup=self.cgroup) as instance:
            made = []
            thread = threading.Thread(target=lambda: made.append(instance.create_task(BASE, mem_mib=256).id))
            thread.start()
            wait_until(self.cgroups, DEADLINE, "no VM is started")
            time.sleep(0.2)
            child = fork_sleeper()
            self.addCleanup(os.waitpid, child, 0)
            self.addCleanup(kill, child)
            thread.join()
            self.assertTrue(instance.delete_task(made[0]))
        wait_until(lambda: not self.left_over(), 5, "the VM goes on")
        self.check_swept()


class DelegatedCgroup(HomeOfUser, CgroupTest):
    """Those of a user who is not root, as docs/limits.md says."""

    def setUp(self):
        super().setUp()
        self.give_home_to_user()
        del self.env["PYRO_CGROUP"]

    def as_user(self, script, own_cgroup):
        """Runs that in a shell of the user which starts in that cgroup: CompletedProcess."""
        process = self.start_as_user(script, own_cgroup)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        out, err = process.communicate(timeout=DEADLINE)
        return subprocess.CompletedProcess(script, process.returncode, out, err)

    def delegate(self, cgroup):
        """Makes it the user's (cgroups(7), delegation)."""
        for name in ("", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
            os.chown(os.path.join(cgroup, name), self.USER, self.USER)

    def remove_cgroups(self):
        """Those that the program has made."""
        for name in ("vms", "program"):
            if os.path.isdir(os.path.join(self.cgroup, name)):
                os.rmdir(os.path.join(self.cgroup, name))

    def test_a_program_that_is_started_as_documented(self):
        self.delegate(self.cgroup)
        with open(os.path.join(os.path.dirname(__file__), "../../docs/limits.md"), encoding="utf-8") as file:
            script = re.search(r"systemd-run [^\n]* sh -c '\n(.*?)'\n", file.read(), re.DOTALL)[1]
        self.assertIn("exec my-program", script)
        self.env["PROGRAM"] = f"""
            id=$("$PYRO" task create --memory 256 {BASE})
            "$PYRO" task exec "$id" -c 'id -u'
            cat "$PYRO_CGROUP/pyro-$id/cpu.weight"
            test -n "$(cat "$PYRO_CGROUP/pyro-$id/cgroup.procs")"
            "$PYRO" doctor --json
            "$PYRO" task delete "$id"
            # A process that has only just ended may still be in one.
            while "$PYRO" task reap && ls -d "$PYRO_CGROUP"/pyro-*; do sleep 0.1; done"""
        self.addCleanup(self.remove_cgroups)
        done = self.as_user(script.replace("my-program", 'sh -ec "$PROGRAM"'), self.cgroup)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(done.stdout.split()[:2], [b"0", b"100"], done)
        self.assertIn(os.path.join(self.cgroup, "vms").encode(), done.stdout)

    def test_a_program_whose_own_cgroup_is_not_delegated_is_told_so(self):
        vms, program = os.path.join(self.cgroup, "vms"), os.path.join(self.cgroup, "program")
        os.chmod(self.cgroup, 0o755)
        self.addCleanup(self.remove_cgroups)
        for folder in (vms, program):
            os.mkdir(folder)
        self.delegate(vms)
        self.env["PYRO_CGROUP"] = vms
        done = self.as_user(f'exec "$PYRO" run --json {BASE} -- true', program)
        self.assertEqual(done.returncode, 125, done)
        error = json.loads(done.stdout)["error"]
        self.assertEqual(error["code"], "invalid")
        self.assertIn("has to be delegated as well, up to the one above both, " + self.cgroup, error["message"])


class WrongCgroup(LimitsTest):
    """What cannot be used."""

    def test_a_cgroup_that_cannot_be_used_is_said(self):
        for path, why in (("/none", "No such file"), ("/tmp", "no cgroup of version 2")):
            self.env["PYRO_CGROUP"] = path
            message = self.refused("invalid", "task", "create", BASE)
            self.assertIn(why, message)
            self.assertIn(path, message)
            checks = json.loads(pyro("doctor", "--json", env=self.env).stdout)["checks"]
            self.assertIn(why, next(check["message"] for check in checks if check["name"] == "cpu-shares"))
        with self.assertRaises(libpyro.InvalidError), libpyro.Pyro(home=self.home, cgroup="/tmp") as instance:
            instance.run_in_vm(BASE, "true")


class Caps(LimitsTest):
    """What is refused, and when it is not any more."""

    def test_twenty_processes_at_once_never_overshoot(self):
        most = 4
        running = [self.sleeper(PYRO_MAX_VMS=str(most)) for _ in range(20)]
        refused = 0
        deadline = time.monotonic() + DEADLINE
        while refused < 20 - most:
            self.assertLess(time.monotonic(), deadline)
            self.assertLessEqual(self.vms(), most)
            refused = sum(process.poll() is not None for process in running)
        for process in running:
            if process.poll() is not None:
                self.assertEqual(process.returncode, 125)
                message = process.stderr.read().decode()
                self.assertIn(f"no more than {most} may", message)
                self.assertIn("PYRO_MAX_VMS", message)
        for process in running:
            if process.poll() is None:
                self.assertEqual(process.stdout.read(3), b"on\n")
        self.assertEqual(self.vms(), most)
        for process in running:
            process.kill()
        wait_until(lambda: self.vms() == 0, 5, "slots are not given back")

    def test_a_killed_supervisor_or_client_frees_its_slot_at_once(self):
        task_id = self.create_task()
        self.assertEqual(self.vms(), 1)
        client = self.sleeper()
        self.assertEqual(client.stdout.read(3), b"on\n")
        self.assertEqual(self.vms(), 2)
        client.kill()
        wait_until(lambda: self.vms() == 1, 2, "the client's end frees nothing")
        with open(os.path.join(self.home, "vms", task_id, "run.json"), encoding="utf-8") as file:
            kill(json.load(file)["pid"])
        wait_until(lambda: self.vms() == 0, 2, "the supervisor's end frees nothing")
        self.output("task", "start", task_id)
        self.assertEqual(self.vms(), 1)
        refused = self.run_pyro_with({"PYRO_MAX_VMS": "1"}, "run", BASE, "--", "true")
        self.assertIn(b"1 VMs run", refused.stderr)
        self.output("task", "stop", task_id)
        self.assertEqual(self.run_pyro_with({"PYRO_MAX_VMS": "1"}, "run", *SMALL, BASE, "--", "true").returncode, 0)

    def run_pyro_with(self, env, *args):
        """pyro ARGS with more variables."""
        return pyro(*args, env={**self.env, **env})

    def test_memory_is_what_is_expected_and_the_message_has_the_figures(self):
        task_id = self.create_task()
        beside = 8 if ENGINE == "kvm" else 96
        used = 256 // 8 + beside
        self.assertIn(f"; {used} of ", self.limits()["message"])
        caps = {"PYRO_MAX_MEM_MIB": str(2 * used - 1)}
        for action in (("run", *SMALL, BASE, "--", "true"), ("task", "create", *SMALL, BASE)):
            refused = self.run_pyro_with(caps, *action)
            self.assertEqual(refused.returncode, 125)
            for word in (f"take {used} MiB", f"no more than {2 * used - 1} MiB", "PYRO_MAX_MEM_MIB", "pyro task list"):
                self.assertIn(word, refused.stderr.decode())
        self.assertEqual(self.listed("task"), {task_id})
        for more in ({"PYRO_MEM_OVERCOMMIT": "100"}, {"PYRO_MAX_MEM_MIB": "none"}):
            self.assertEqual(self.run_pyro_with({**caps, **more}, "run", *SMALL, BASE, "--", "true").returncode, 0)

    def test_disk_that_is_to_be_kept_free(self):
        refused = self.run_pyro_with({"PYRO_DISK_RESERVE_MIB": "1000000000"}, "run", BASE, "--", "true")
        self.assertEqual(refused.returncode, 125)
        for word in ("MiB are free on the disk of", "1000000000 MiB are to be kept free", "pyro task list", "pyro env prune",
                     "PYRO_DISK_RESERVE_MIB"):
            self.assertIn(word, refused.stderr.decode())
        self.assertEqual(self.limits(PYRO_DISK_RESERVE_MIB="1000000000")["status"], "warning")
        # What runs is not touched, and what needs no VM works.
        self.output("vm", "create", BASE)

    def test_a_starter_that_is_killed_takes_nothing(self):
        for delay in (0.0, 0.01, 0.02, 0.05, 0.1, 0.3):
            client = self.sleeper()
            time.sleep(delay)
            client.kill()
            client.wait()
        wait_until(lambda: self.vms() == 0, 5, "slots are not given back")

    def test_a_child_that_the_host_forks_during_a_start_holds_nothing_of_a_task(self):
        children = []

        def fork_all_the_time():
            while not done.is_set() and len(children) < 500:
                children.append(fork_sleeper())
                time.sleep(0.0005)

        def end_children():
            for child in children:
                kill(child)
                os.waitpid(child, 0)
            children.clear()
        self.addCleanup(end_children)
        with libpyro.Pyro(home=self.home) as instance:
            for end in ("stop", "kill"):
                with self.subTest(end):
                    done = threading.Event()
                    forker = threading.Thread(target=fork_all_the_time)
                    forker.start()
                    task_id = instance.create_task(BASE, mem_mib=256, boot_timeout_seconds=DEADLINE).id
                    done.set()
                    forker.join()
                    if end == "stop":
                        instance.stop_task(task_id)
                    else:
                        with open(os.path.join(self.home, "vms", task_id, "run.json"), encoding="utf-8") as file:
                            kill(json.load(file)["pid"])
                        wait_until(lambda: instance.list_tasks(states=["failed"]), 2, "it counts as running")
                        with self.assertRaises(libpyro.StateError):
                            instance.exec_task(task_id, "true")
                    instance.start_task(task_id)
                    began = time.monotonic()
                    self.assertTrue(instance.delete_task(task_id))
                    self.assertLess(time.monotonic() - began, 2)
                    end_children()

    def test_a_child_that_the_host_forks_during_a_start_holds_no_slot(self):
        verified = os.path.join(self.home, "environments", "verified")
        for end in ("regular", "kill"):
            with self.subTest(end), libpyro.Pyro(home=self.home) as instance:
                # The slot is taken before the environment is looked at again.
                for name in os.listdir(verified):
                    os.unlink(os.path.join(verified, name))
                run = instance.start_run_in_vm(BASE, "sleep 200", mem_mib=256, timeout_seconds=DEADLINE)
                child = 0
                for event in run:
                    if child == 0:
                        self.assertIsInstance(event, libpyro.Progress)
                        self.assertNotEqual(event.stage, "boot")
                        child = fork_sleeper()
                        self.addCleanup(os.waitpid, child, 0)
                        self.addCleanup(kill, child)
                    if isinstance(event, libpyro.Started):
                        break
                self.assertEqual(self.vms(), 1)
                if end == "kill":
                    for pid in self.left_over():
                        kill(pid)
                else:
                    run.close()
                wait_until(lambda: self.vms() == 0, 5, "the child has it")
                run.close()

    def test_damaged_slots_count_as_ordinary_vms(self):
        self.create_task()
        with open(os.path.join(self.home, "slots"), "r+b") as file:
            file.write(b"x" * 16)
        self.assertIn("1 of ", self.limits()["message"])
        self.assertEqual(self.run_pyro("run", *SMALL, BASE, "--", "true").returncode, 0)

    def test_wrong_caps_are_refused(self):
        for name, value in (("PYRO_MAX_VMS", "0"), ("PYRO_MAX_MEM_MIB", "-1"), ("PYRO_DISK_RESERVE_MIB", "many"),
                            ("PYRO_MEM_OVERCOMMIT", "0.5"), ("PYRO_MEM_OVERCOMMIT", "nan")):
            refused = self.run_pyro_with({name: value}, "task", "list")
            self.assertEqual(refused.returncode, 125, name)
            self.assertIn(name, refused.stderr.decode().replace("mem_overcommit", "PYRO_MEM_OVERCOMMIT"))

    def test_options_count_more_than_variables(self):
        with libpyro.Pyro(home=self.home, max_vms=1, mem_overcommit=16) as instance:
            with instance.start_run_in_vm(BASE, ["sleep", "500"], mem_mib=256, timeout_seconds=500) as running:
                next(event for event in running if isinstance(event, libpyro.Started))
                with self.assertRaises(libpyro.LimitError):
                    instance.run_in_vm(BASE, ["true"], mem_mib=256)
            with libpyro.Pyro(home=self.home, max_vms=None) as other:
                self.assertEqual(other.run_in_vm(BASE, ["true"], mem_mib=256).exit_code, 0)


class Quota(LimitsTest):
    """A task's disk_mib is all that it can take of the host's disk."""

    def test_a_task_that_writes_all_it_can(self):
        task_id = self.output("task", "create", *SMALL, "--disk", "64", "--max-lifetime", "600", BASE).strip()
        self.addCleanup(self.output, "task", "delete", task_id)
        done = self.run_pyro("task", "exec", "--timeout", "200", task_id, "-c",
                             "head -c 200M /dev/urandom >big; sync; echo $?; ls -l big")
        self.assertIn(b"No space left", done.stderr)
        size = os.stat(os.path.join(self.home, "vms", task_id, "disk"))
        self.assertLessEqual(size.st_blocks * 512, 64 << 20)
        self.assertEqual(size.st_size, 64 << 20)
        self.assertEqual(self.run_pyro("task", "exec", task_id, "-c", "rm big; echo kept >file; cat file").stdout, b"kept\n")


if __name__ == "__main__":
    unittest.main()
