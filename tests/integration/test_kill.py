"""kill -9 of any process at any time: nothing is left, and the others say what happened."""
import collections
import os
import random
import subprocess
import time
import unittest

from support import BASE, DEADLINE, ENGINE, PYRO, VmTest, descendants, kill, processes, wait_until

# Each round is one VM; the issue of this project that set the bar asks for 50.
ROUNDS = int(os.environ.get("PYRO_KILL_ROUNDS", "50"))
# A cold start takes one to two seconds under emulation: some kills hit every stage of it, some the command.
LATEST_S = 2.5


class Kill(VmTest):
    def setUp(self):
        super().setUp()
        self.hits = collections.Counter()

    def victims(self, client):
        """{"client": pid, "supervisor": pid, "engine": pid} as far as they exist."""
        table = processes()
        found = {"client": client.pid}
        for pid in descendants(client.pid):
            parent, name = table.get(pid, (0, ""))
            if parent == client.pid and name == "pyro-vm":
                found["supervisor"] = pid
            elif table.get(parent, (0, ""))[1] == "pyro-vm" and name != "pyro-vm":
                found["engine"] = pid
        return found

    def one_round(self, whom, delay):
        client = subprocess.Popen([PYRO, "run", "--timeout", "none", BASE, "--", "sh", "-c", "echo started; sleep 999"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            time.sleep(delay)
            victims = self.victims(client)
            hit = [name for name in whom if name in victims]
            for name in hit:
                kill(victims[name])
                self.hits[name] += 1
            if "client" in whom:
                client.wait(5)
            elif hit:
                out, err = client.communicate(timeout=10)
                self.check_report(client.returncode, out, err)
            wait_until(lambda: client.poll() is not None or not hit, 5, "the client goes on")
        finally:
            kill(client.pid)
            client.communicate(timeout=DEADLINE)
        wait_until(lambda: not self.left_over(), 2, f"{whom} killed after {delay:.2f} s: {self.left_over()} left over")

    def check_report(self, code, out, err):
        """A lost VM is pyro's failure, and says whether the command may have run."""
        self.assertEqual(code, 125, err)
        self.assertTrue(any(word in err for word in (b"never started", b"safe to", b"unknown", b"did not start")), err)
        if b"started\n" in out:
            self.assertIn(b"unknown", err)

    def test_any_process_at_any_time(self):
        chance = random.Random(20261122)
        choices = [("client",), ("supervisor",), *([("engine",)] if ENGINE == "software" else []), ("client", "supervisor")]
        for number in range(ROUNDS):
            whom, delay = choices[number % len(choices)], chance.uniform(0, LATEST_S)
            with self.subTest(round=number, whom=whom, delay=delay):
                self.one_round(whom, delay)
        # A test that finds nobody to kill passes for the wrong reason.
        for name in {name for choice in choices for name in choice}:
            self.assertGreater(self.hits[name], 0, f"no {name} was ever hit: {self.hits}")

    def test_nothing_is_left_in_the_home(self):
        home = os.environ["PYRO_HOME"]

        def files():
            return {os.path.join(folder, name) for folder, _, names in os.walk(home) for name in names}
        before = files()
        self.one_round(("client", "supervisor"), 1.5)
        self.assertEqual(files() - before, set())


if __name__ == "__main__":
    unittest.main()
