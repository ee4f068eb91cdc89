"""Many at once, and inside host programs with habits of their own."""
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from support import BASE, DEADLINE, ENGINE, PYRO, VmTest, pyro, wait_until

import libpyro

SMALL = {"mem_mib": 256, "timeout_seconds": 120, "boot_timeout_seconds": 200}


class Concurrency(VmTest):
    def test_eight_processes(self):
        # Each holds its VM until all eight have started: by a line of input.
        words = [PYRO, "run", "--boot-timeout", "200", "--timeout", str(DEADLINE), "--mem-mib", "256", BASE, "--",
                 "sh", "-c", 'echo on; read -r line; echo "$line"']
        running = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                   for _ in range(8)]
        for process in running:
            self.addCleanup(process.communicate)
            self.addCleanup(process.kill)
        end = time.monotonic() + DEADLINE
        for process in running:
            ready = select.select([process.stdout], [], [], max(0, end - time.monotonic()))[0]
            self.assertTrue(ready, "a VM has not started")
            self.assertEqual(process.stdout.readline(), b"on\n")
        self.assertGreaterEqual(len(self.left_over()), 8)
        for number, process in enumerate(running):
            self.assertIsNone(process.poll())
            out, err = process.communicate(b"%d\n" % number, timeout=DEADLINE)
            self.assertEqual((process.returncode, out), (0, b"%d\n" % number), err)

    def test_twenty_threads(self):
        results = {}

        def work(number, instance):
            results[number] = instance.run_in_vm(BASE, ["echo", str(number)], **SMALL).stdout
        with libpyro.Pyro() as instance:
            threads = [threading.Thread(target=work, args=(number, instance)) for number in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(DEADLINE)
        self.assertEqual(results, {number: f"{number}\n".encode() for number in range(20)})

    def test_two_instances_side_by_side(self):
        with libpyro.Pyro() as one, libpyro.Pyro() as other:
            with one.start_run_in_vm(BASE, ["sleep", "999"], **SMALL):
                self.assertEqual(other.run_in_vm(BASE, ["echo", "hi"], **SMALL).stdout, b"hi\n")

    def host(self, code):
        """Runs Python code as a host program of its own."""
        return subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=DEADLINE, check=False)

    def test_host_that_ignores_or_handles_signals(self):
        for disposition in ("SIG_IGN", "SIG_DFL"):
            done = self.host(f"""
import signal, libpyro
signal.signal(signal.SIGPIPE, signal.{disposition})
signal.signal(signal.SIGCHLD, signal.{disposition})
with libpyro.Pyro() as p:
    print(p.run_in_vm("{BASE}", ["head", "-c", "2"], stdin=b"hi" + b"x" * 3000000).stdout_text)
assert signal.getsignal(signal.SIGCHLD) == signal.{disposition}
""")
            self.assertEqual((done.returncode, done.stdout), (0, b"hi\n"), done)

    def test_fork_with_a_running_vm(self):
        done = self.host(f"""
import os, libpyro
p = libpyro.Pyro()
op = p.start_run_in_vm("{BASE}", ["sleep", "999"], timeout_seconds=None)
for event in op:
    if type(event).__name__.startswith("Started"):
        break
child = os.fork()
if child == 0:
    try:
        op.cancel()
        os._exit(1)
    except libpyro.PyroError:
        pass
    with libpyro.Pyro() as q:
        ok = q.run_in_vm("{BASE}", ["echo", "child"]).stdout == b"child\\n"
    os._exit(0 if ok else 2)
assert os.waitpid(child, 0)[1] == 0
op.send_signal(15)
for event in op:
    last = event
print(last.result.term_signal)
p.close()
""")
        self.assertEqual((done.returncode, done.stdout), (0, b"15\n"), done)

    def test_vm_dies_with_the_parent_though_a_forked_child_lives(self):
        host = subprocess.Popen([sys.executable, "-c", f"""
import os, sys, time, libpyro
p = libpyro.Pyro()
op = p.start_run_in_vm("{BASE}", ["sleep", "999"], timeout_seconds=None)
for event in op:
    if type(event).__name__.startswith("Started"):
        break
child = os.fork()
if child == 0:
    time.sleep(30)
    os._exit(0)
print(child, flush=True)
time.sleep(999)
"""], stdout=subprocess.PIPE)
        child = int(host.stdout.readline())
        try:
            self.assertTrue(self.left_over())
            host.kill()
            host.wait()
            wait_until(lambda: not self.left_over(), 2, "the VM outlives its client")
        finally:
            os.kill(child, signal.SIGKILL)
            host.stdout.close()


@unittest.skipIf(ENGINE == "kvm", "building is the same for both engines, and takes minutes in a nested host")
class EmptyHome(VmTest):
    def test_eight_processes_race_to_build_one_environment(self):
        with tempfile.TemporaryDirectory() as home:
            environment = {**os.environ, "PYRO_HOME": os.path.join(home, "pyro")}
            running = [subprocess.Popen([PYRO, "run", "--boot-timeout", "200", "--mem-mib", "256", BASE, "--", "echo", str(i)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) for i in range(8)]
            for number, process in enumerate(running):
                out, err = process.communicate(timeout=420)
                self.assertEqual((process.returncode, out), (0, f"{number}\n".encode()), err)
            listed = pyro("env", "list", "--json", env=environment)
            self.assertIn(b'"available"', listed.stdout)


if __name__ == "__main__":
    unittest.main()
