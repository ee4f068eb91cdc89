"""The registry beside the folders: whoever is killed, whatever becomes of the file, lists tell what there is."""
import concurrent.futures
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

from support import BASE, DEADLINE, PYRO, VmTest, kill, pyro, wait_until

import libpyro

ROUNDS = int(os.environ.get("PYRO_REGISTRY_ROUNDS", "50"))
WORKERS = 4


class RegistryTest(VmTest):
    """In a home folder of its own, with the environments of this run."""

    def setUp(self):
        super().setUp()
        self.home = tempfile.mkdtemp(prefix="pyro-registry-")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        os.symlink(os.path.join(os.environ["PYRO_HOME"], "environments"), os.path.join(self.home, "environments"))
        self.database = os.path.join(self.home, "registry.db")
        self.env = {**os.environ, "PYRO_HOME": self.home}

    def run_pyro(self, *args, **more):
        """pyro ARGS in that home: the CompletedProcess."""
        return pyro(*args, env=self.env, **more)

    def output(self, *args):
        """The same, which must succeed; output as text."""
        done = self.run_pyro(*args)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout.decode()

    def listed(self, kind, *args):
        """Ids in a list."""
        return {one["id"] for one in json.loads(self.output(kind, "list", "--json", *args))[f"{kind}s"]}

    def folders(self):
        """Ids of what has a record."""
        vms = os.path.join(self.home, "vms")
        if not os.path.isdir(vms):
            return set()
        return {name for name in os.listdir(vms) if os.path.exists(os.path.join(vms, name, "record.json"))}

    def refused(self, code, *args):
        """An error of this code; its message."""
        done = self.run_pyro(*args, "--json")
        self.assertEqual(done.returncode, 125, done)
        error = json.loads(done.stdout)["error"]
        self.assertEqual(error["code"], code, error)
        return error["message"]

    def create_task(self):
        """A task that is deleted in the end."""
        task_id = self.output("task", "create", "--memory", "256", "--max-lifetime", "600", BASE).strip()
        self.addCleanup(self.output, "task", "delete", task_id)
        return task_id

    def tearDown(self):
        self.doCleanups()
        super().tearDown()


# What one process of the property does: argv has the home, a seed and the number of rounds.
WORKER = """
import random, sys, libpyro
home, seed, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
chance, model = random.Random(int(seed)), {}
with libpyro.Pyro(home=home) as pyro:
    for number in range(rounds):
        if model and chance.random() < 0.45:
            victim = chance.choice(sorted(model))
            assert pyro.delete_vm(victim)
            del model[victim]
        else:
            labels = {"seed": seed, "odd": str(number % 2)}
            model[pyro.create_vm("BASE", labels=labels).id] = labels
        if chance.random() < 0.1:
            pyro.rebuild_registry()
        for odd in ("0", "1"):
            listed = {vm.id for vm in pyro.list_vms(labels={"seed": seed, "odd": odd})}
            expected = {id for id, labels in model.items() if labels["odd"] == odd}
            assert listed == expected, (number, listed ^ expected)
print(*sorted(model))
""".replace("BASE", BASE)


class Model(RegistryTest):
    """Creations and deletions against a model of them."""

    def test_random_creations_deletions_and_rebuilds_by_several_processes(self):
        running = [subprocess.Popen([sys.executable, "-c", WORKER, self.home, str(seed), str(ROUNDS)], env=self.env,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) for seed in range(WORKERS)]
        left = set()
        for process in running:
            out, err = process.communicate(timeout=DEADLINE)
            self.assertEqual(process.returncode, 0, err.decode())
            left |= set(out.decode().split())
        self.assertEqual(self.listed("vm"), left)
        self.assertEqual(self.folders(), left)
        self.assertFalse([name for name in os.listdir(self.home) if name.startswith(".removed")])

    def test_creators_and_deleters_that_are_killed_at_any_moment(self):
        chance = random.Random(20261126)
        for _ in range(ROUNDS):
            victims = sorted(self.folders())
            args = ("vm", "create", BASE)
            if len(victims) > 5 and chance.random() < 0.7:
                args = ("registry", "rebuild") if chance.random() < 0.2 else ("vm", "delete", chance.choice(victims))
            with subprocess.Popen([PYRO, *args], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as process:
                time.sleep(chance.uniform(0, 0.012))
                kill(process.pid)
            self.assertEqual(self.listed("vm"), self.folders())
        self.output("task", "reap")
        self.assertFalse([name for name in os.listdir(self.home) if name.startswith(".removed")])

    def test_many_threads_of_one_instance(self):
        with libpyro.Pyro(home=self.home) as instance:
            def work(number):
                made = [instance.create_vm(BASE, labels={"of": str(number)}).id for _ in range(5)]
                instance.delete_vm(made.pop())
                if {vm.id for vm in instance.list_vms(labels={"of": str(number)})} != set(made):
                    raise AssertionError("not what was made")
                return made
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                made = {one for some in pool.map(work, range(8)) for one in some}
            self.assertEqual({vm.id for vm in instance.list_vms()}, made)


class Damage(RegistryTest):
    """What becomes of registry.db is nobody's end."""

    def test_damaged_in_any_way(self):
        task_id = self.create_task()
        vm_ids = {self.output("vm", "create", "--label", "of=test", BASE).strip() for _ in range(100)}

        def cut(file, size):
            file.truncate(size // 2)

        def zero(file, size):
            file.seek(4096)
            file.write(bytes(size - 4096))

        def scribble(file, _):
            file.write(os.urandom(4096))
        for damage in (cut, zero, scribble):
            with self.subTest(damage.__name__):
                with sqlite3.connect(self.database) as database:
                    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                database.close()
                with open(self.database, "r+b") as file:
                    damage(file, os.path.getsize(self.database))
                for args in (("task", "list"), ("vm", "list", "--label", "of=test")):
                    message = self.refused("state", *args)
                    self.assertIn(self.database, message)
                    self.assertIn("pyro registry rebuild", message)
                # Nothing else minds.
                self.assertEqual(json.loads(self.output("task", "status", "--json", task_id))["tasks"][0]["state"], "running")
                self.assertEqual(self.run_pyro("task", "exec", task_id, "--", "true").returncode, 0)
                self.output("task", "stop", task_id)
                self.output("task", "start", task_id)
                self.output("task", "reap")
                vm_ids.add(self.output("vm", "create", "--label", "of=test", BASE).strip())
                self.output("vm", "delete", vm_ids.pop())
                self.assertEqual(self.output("registry", "rebuild"), f"{len(vm_ids) + 1} tasks and VMs\n")
                self.assertEqual(self.listed("vm", "--label", "of=test"), vm_ids)
                self.assertEqual(self.listed("task", "--state", "running"), {task_id})

    def test_of_a_newer_version(self):
        vm_id = self.output("vm", "create", BASE).strip()
        with sqlite3.connect(self.database) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
        for args in (("vm", "list"), ("registry", "rebuild")):
            self.assertIn("newer libpyro", self.refused("unsupported", *args))
        self.output("vm", "status", vm_id)
        other = self.output("vm", "create", BASE).strip()
        self.output("vm", "delete", vm_id)
        with sqlite3.connect(self.database) as database:
            self.assertEqual(database.execute("PRAGMA user_version").fetchone()[0], 99)
            database.execute("PRAGMA user_version = 2")
        database.close()
        self.assertEqual(self.listed("vm"), {other})

    def test_gone_or_kept_busy(self):
        vm_id = self.output("vm", "create", BASE).strip()
        for name in ("", "-wal", "-shm"):
            os.unlink(self.database + name)
        self.assertEqual(self.listed("vm"), {vm_id})
        busy = sqlite3.connect(self.database, isolation_level=None)
        self.addCleanup(busy.close)
        busy.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        other = self.output("vm", "create", BASE).strip()
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(self.listed("vm"), {vm_id, other})
        busy.execute("ROLLBACK")
        self.assertEqual(self.listed("vm"), {vm_id, other})

    @unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
    def test_read_only_home(self):
        task_id = self.create_task()
        self.output("task", "exec", task_id, "--", "echo", "printed")
        vm_id = self.output("vm", "create", BASE).strip()
        script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'

        def read_only(*args):
            return subprocess.run(["unshare", "-m", "sh", "-ec", script, self.home, PYRO, *args], env=self.env,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE, check=False)

        def shown(*args):
            done = read_only(*args)
            self.assertEqual(done.returncode, 0, done)
            return done.stdout.decode()
        for running in (True, False):
            with self.subTest(running=running):
                state = "running" if running else "stopped"
                self.assertEqual([one["id"] for one in json.loads(shown("task", "list", "--json", "--state", state))["tasks"]], [task_id])
                self.assertEqual(json.loads(shown("task", "status", "--json", task_id))["tasks"][0]["state"], state)
                self.assertIn("printed", shown("task", "logs", task_id, "1"))
                self.assertEqual([one["id"] for one in json.loads(shown("vm", "list", "--json"))["vms"]], [vm_id])
                for args in (("vm", "create", BASE), ("vm", "delete", vm_id), ("registry", "rebuild"), ("run", BASE, "--", "true"),
                             ("task", "start", task_id) if not running else ("task", "ttl", task_id, "600")):
                    done = read_only(*args)
                    self.assertEqual(done.returncode, 125, done)
                    self.assertRegex(done.stderr, b"(?i)(Read-only file system|readonly database)")
            self.output("task", "stop", task_id)

    def test_a_registry_that_nobody_can_make(self):
        vm_id = self.output("vm", "create", BASE).strip()
        for name in ("", "-wal", "-shm"):
            os.unlink(self.database + name)
        os.mkdir(self.database)  # nobody can make a file there, not even root
        self.assertEqual(self.listed("vm"), {vm_id})
        self.output("vm", "delete", vm_id)
        self.assertEqual(self.listed("vm"), set())


class Reality(RegistryTest):
    """What the registry says of a VM that runs is checked."""

    def test_a_supervisor_that_died_is_noticed_by_the_next_list_and_a_reboot_is_told(self):
        task_id = self.create_task()
        self.assertEqual(self.listed("task", "--state", "running"), {task_id})
        run = os.path.join(self.home, "vms", task_id, "run.json")
        with open(run, encoding="utf-8") as file:
            record = json.load(file)
        os.kill(record["pid"], signal.SIGKILL)
        wait_until(lambda: not self.listed("task", "--state", "running"), 5, "nobody notices")
        self.assertEqual(self.listed("task", "--state", "failed"), {task_id})
        # The same after a boot that nobody saw.
        record["boot_id"] = "00000000-0000-0000-0000-000000000000"
        with open(run + ".new", "w", encoding="utf-8") as file:
            json.dump(record, file, separators=(",", ":"))
        os.rename(run + ".new", run)
        task = json.loads(self.output("task", "list", "--json"))["tasks"][0]
        self.assertEqual((task["state"], task["reason"]), ("stopped", "the host was rebooted"))
        self.assertEqual(self.listed("task", "--state", "stopped"), {task_id})
        self.output("task", "start", task_id)
        self.assertEqual(self.listed("task", "--state", "running"), {task_id})


if __name__ == "__main__":
    unittest.main()
