"""Output and input of any size, at any pace, in bounded memory."""
import json
import os
import re
import resource
import signal
import subprocess
import time
import unittest

from support import BASE, DEADLINE, ENGINE, PYRO, VmTest, descendants, run, run_json, wait_until

MIB = 1024 * 1024
# Of the long stream; a nested host, whose own system calls and copies are emulated, moves a tenth of what a host does.
LONG_MIB = int(os.environ.get("PYRO_TEST_STREAM_MIB", "300"))


def peak_rss_mib(pid):
    """Most memory that a process has had."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0


def supervisor_mib(pid):
    """What a supervisor has for itself. On the kvm engine the guest's RAM and its root image are mapped there, too."""
    if ENGINE == "software":
        return peak_rss_mib(pid)
    total_kib, counts = 0, False
    with open(f"/proc/{pid}/smaps", encoding="ascii") as smaps:
        for line in smaps:
            if head := re.match(r"([0-9a-f]+)-([0-9a-f]+) .{4} \S+ \S+ \S+ *(.*)", line):
                counts = int(head[2], 16) - int(head[1], 16) < 256 * MIB and not head[3].startswith("/")
            elif counts and line.startswith("Rss:"):
                total_kib += int(line.split()[1])
    return total_kib / 1024


class Streams(VmTest):
    def start(self, *arguments, **options):
        process = subprocess.Popen([PYRO, "run", *arguments], stdout=subprocess.PIPE, **options)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, DEADLINE)
        self.addCleanup(process.kill)
        return process

    def supervisor(self, process):
        """Pid of the supervisor below a pyro program."""
        found = []

        def look():
            for pid in descendants(process.pid):
                with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                    if comm.read().strip() == "pyro-vm":
                        found.append(pid)
            return found
        wait_until(look, 30, "no supervisor")
        return found[0]

    def test_endless_output_in_bounded_memory(self):
        process = self.start("--timeout", "200", BASE, "--", "sh", "-c", f"yes | head -c {LONG_MIB}M")
        supervisor = self.supervisor(process)
        total = 0
        client_peak = supervisor_peak = 0
        while chunk := process.stdout.read(4 * MIB):
            total += len(chunk)
            if total > LONG_MIB * 5 // 6 * MIB and not supervisor_peak:
                client_peak, supervisor_peak = peak_rss_mib(process.pid), supervisor_mib(supervisor)
        self.assertEqual(process.wait(DEADLINE), 0)
        self.assertEqual(total, LONG_MIB * MIB)
        self.assertLess(client_peak, 32)
        self.assertLess(supervisor_peak, 32)

    def test_reader_that_stops_blocks_the_guest_not_the_host(self):
        process = self.start("--timeout", "none", BASE, "--", "sh", "-c", "echo go; yes")
        supervisor = self.supervisor(process)
        self.assertEqual(process.stdout.read(3), b"go\n")
        # The guest fills the window and what the pipe holds, then nothing moves any more.

        def used():
            # Its main thread: on the kvm engine the others are the guest.
            with open(f"/proc/{supervisor}/task/{supervisor}/stat", encoding="ascii") as stat:
                return sum(int(word) for word in stat.read().rsplit(")", 1)[1].split()[11:13])
        before = used()
        wait_until(lambda: used() - before < 3 or time.sleep(0.5), 10, "supervisor never rests")
        resting = used()
        time.sleep(1)
        self.assertLess(used() - resting, 10)
        self.assertLess(supervisor_mib(supervisor), 32)
        # Signals still work: the second one ends pyro even if the command ignores the first.
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: process.poll() is not None, 5, "pyro does not end")

    def test_reader_that_rests_across_the_timeout_gets_everything(self):
        process = self.start("--timeout", "3", BASE, "--", "yes", stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        output = process.stdout.read(2)
        # Past the timeout and past the time in which a guest has to obey: the supervisor gives the command up.
        time.sleep(6)
        output += process.stdout.read()
        self.assertEqual(process.wait(DEADLINE), 124, process.stderr.read())
        self.assertGreater(len(output), 256 * 1024)
        self.assertEqual(output, (b"y\n" * (len(output) // 2 + 1))[:len(output)])

    def test_json_truncates_and_counts(self):
        result = run_json(BASE, "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' a; echo err >&2",
                          options=("--timeout", "60"))
        self.assertEqual(result["exit_code"], 0, result)
        self.assertTrue(result["stdout_truncated"])
        self.assertFalse(result["stderr_truncated"])
        self.assertEqual(result["stdout_total_bytes"], 3000000)
        self.assertEqual(len(result["stdout"]), MIB)
        self.assertEqual(result["stderr"], "err\n")
        self.assertEqual(result["engine"], ENGINE)

    def test_closed_input_and_unread_input(self):
        self.assertEqual(run(BASE, "cat", stdin=b"").stdout, b"")
        # The command does not read what it is sent: nobody waits for it.
        self.assertEqual(run(BASE, "true", stdin=b"x" * (4 * MIB)).returncode, 0)
        # It reads a part and goes.
        self.assertEqual(run(BASE, "head", "-c", "3", stdin=b"abc" + b"x" * (4 * MIB)).stdout, b"abc")

    def test_reader_that_goes_away_ends_the_vm(self):
        process = self.start("--timeout", "none", BASE, "--", "yes", stderr=subprocess.DEVNULL)
        process.stdout.read(1000)
        process.stdout.close()
        wait_until(lambda: process.poll() is not None, 10, "pyro does not notice")

    def test_few_descriptors_are_an_error_not_a_hang(self):
        def starve():
            resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
        done = run(BASE, "true", preexec_fn=starve)
        self.assertEqual(done.returncode, 125, done)

    def test_json_of_invalid_utf8_is_json(self):
        done = run(BASE, "printf", "\\377\\376", options=("--json",))
        self.assertEqual(json.loads(done.stdout)["exit_code"], 0)


if __name__ == "__main__":
    unittest.main()
