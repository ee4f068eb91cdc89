"""Attaching to commands of tasks: what is seen, who may type, who goes when, and what the terminal is like afterwards."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unittest

from support import BASE, PYRO, VmTest, kill, pyro, wait_until

# Two of them on a loaded machine with an emulated guest.
PATIENCE = 60


def task(action, *args, **more):
    """pyro task ACTION ARGS, which must succeed; output as text."""
    done = pyro("task", action, *args, **more)
    if done.returncode != 0:
        raise AssertionError(f"pyro task {action} {args}: {done!r}")
    return done.stdout.decode()


def journal(task_id, number):
    """What the journal says of a command."""
    return json.loads(task("logs", "--json", task_id, str(number)))["commands"][0]


def rest(process):
    """What it still prints, until its end."""
    return process.communicate(timeout=PATIENCE)[0]


class Terminal:
    """A terminal of our own with pyro in it."""

    def __init__(self, *args, rows=24, columns=80):
        self.seen = b""
        self.master, slave = pty.openpty()
        self.slave = slave
        self.resize(rows, columns, None)
        self.before = termios.tcgetattr(slave)
        # A session of its own, with this terminal to control it: so signals and hang-ups come as to a shell's child.
        self.process = subprocess.Popen(
            [sys.executable, "-c",
             "import fcntl, os, sys, termios\n"
             "os.setsid()\n"
             "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
             "os.execv(sys.argv[1], sys.argv[1:])", PYRO, *args],
            stdin=slave, stdout=slave, stderr=slave, close_fds=True)

    def resize(self, rows, columns, process):
        """Gives the terminal another size."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if process is not None:
            process.send_signal(signal.SIGWINCH)

    def type(self, keys):
        """Presses keys."""
        os.write(self.master, keys)

    def read_some(self, seconds):
        """Takes in what is printed within that time. False: nothing."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            self.seen += os.read(self.master, 65536)
        except OSError:
            return False
        return True

    def expect(self, text, seconds=PATIENCE):
        """Waits until `text` is printed; gives what came until its end, and forgets that."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no {text!r} within {seconds} s: {self.seen!r}")
            if not self.read_some(min(left, 1)) and self.process.poll() is not None and not self.read_some(0):
                break
        if text not in self.seen:
            raise AssertionError(f"pyro ended without {text!r}: {self.seen!r}")
        place = self.seen.index(text) + len(text)
        taken, self.seen = self.seen[:place], self.seen[place:]
        return taken

    def wait(self, seconds=PATIENCE):
        """Its exit code; what it still prints is taken in."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > end:
                raise AssertionError(f"pyro has not ended within {seconds} s: {self.seen!r}")
            self.read_some(0.05)
        while self.read_some(0):
            pass
        return self.process.returncode

    def is_raw(self):
        """Whether keys go to pyro one by one."""
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def is_as_before(self):
        """Whether its mode is the one that it had."""
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        """Kills what is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for descriptor in (self.master, self.slave):
            if descriptor >= 0:
                os.close(descriptor)
        self.master = self.slave = -1


class AttachTest(VmTest):
    """One task for all tests of a class: they are about commands."""

    @classmethod
    def setUpClass(cls):
        cls.task_id = task("create", "--max-lifetime", "900", BASE).strip()

    @classmethod
    def tearDownClass(cls):
        task("delete", cls.task_id)

    def terminal(self, *args, **more):
        """pyro in a terminal."""
        terminal = Terminal(*args, **more)
        self.addCleanup(terminal.close)
        return terminal

    def start(self, line, *options):
        """A command that nobody waits for; its number."""
        return task("exec", "-d", *options, self.task_id, "-c", line).strip()

    def shell(self, *options):
        """An interactive shell of this task in a terminal, at its prompt; and its number."""
        terminal = self.terminal("task", "exec", "-it", "-e", "PS1=ready> ", *options, self.task_id, "--", "sh")
        terminal.expect(b"ready> ")
        number = str(json.loads(task("logs", "--json", self.task_id))["commands"][-1]["number"])
        return terminal, number

    def attach(self, number, *options):
        """A terminal that is attached to a command."""
        return self.terminal("task", "attach", *options, self.task_id, number)

    def client(self, *args, **more):
        """pyro task ARGS with pipes."""
        process = subprocess.Popen([PYRO, "task", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   **{"stdin": subprocess.DEVNULL, **more})

        def close():
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=PATIENCE)
        self.addCleanup(close)
        return process

    def finish(self, terminal, number):
        """Ends a shell that somebody is attached to."""
        terminal.type(b"exit 0\n")
        self.assertEqual(terminal.wait(), 0)
        self.assertFalse(journal(self.task_id, number)["running"])


class Terminals(AttachTest):
    """Commands with a terminal."""

    def test_client_is_killed_the_shell_goes_on_and_is_attached_to(self):
        terminal, number = self.shell()
        terminal.type(b"echo one-$((40+2))\n")
        terminal.expect(b"one-42")
        terminal.process.kill()
        terminal.process.wait()
        self.assertTrue(journal(self.task_id, number)["running"])
        again = self.attach(number)
        again.expect(b"one-42")
        again.type(b"echo two-$((40+3))\n")
        again.expect(b"two-43")
        again.type(b"exit 5\n")
        self.assertEqual(again.wait(), 5)
        self.assertTrue(again.is_as_before())
        ended = journal(self.task_id, number)
        self.assertEqual((ended["running"], ended["exit_code"]), (False, 5))

    def test_detach_keys_leave_it_running_and_say_how_to_come_back(self):
        terminal, number = self.shell()
        self.assertTrue(terminal.is_raw())
        terminal.type(b"\x10\x11")
        terminal.expect(f"detached; pyro task attach {self.task_id} {number}".encode())
        self.assertEqual(terminal.wait(), 0)
        self.assertTrue(terminal.is_as_before())
        again = self.attach(number, "--detach-keys", "ctrl-],d")
        again.expect(b"ready> ")
        again.type(b"\x10\x11\x15\x1d")  # not those; ctrl-u takes them back
        again.type(b"d")
        again.expect(b"detached; ")
        self.assertEqual(again.wait(), 0)
        last = self.attach(number, "--detach-keys", "none")
        last.expect(b"ready> ")
        self.finish(last, number)

    def test_what_is_printed_while_nobody_is_attached_is_seen_once(self):
        number = self.start("i=0; while [ $i -lt 200 ]; do echo number $i.; i=$((i+1)); sleep 0.02; done", "-t")
        seen = b""
        for _ in range(3):
            watcher = self.terminal("task", "attach", "-n", "--tail", "all", self.task_id, number)
            watcher.expect(b"number 9.")
            watcher.process.send_signal(signal.SIGTERM)
            self.assertEqual(watcher.wait(), 128 + signal.SIGTERM)
        last = self.terminal("task", "attach", "-n", "--tail", "all", self.task_id, number)
        self.assertEqual(last.wait(), 0)
        seen = last.seen
        self.assertEqual(re.findall(rb"number (\d+)\.", seen), [b"%d" % i for i in range(200)])

    def test_two_are_attached_and_both_type_and_see(self):
        first, number = self.shell()
        second = self.attach(number)
        second.expect(b"ready> ")
        second.type(b"echo from-$((1+1))\n")
        first.expect(b"from-2")
        second.expect(b"from-2")
        first.type(b"echo from-$((0+1))\n")
        second.expect(b"from-1")
        first.type(b"\x10\x11")
        self.assertEqual(first.wait(), 0)
        second.type(b"echo still-$((2+1))\n")
        second.expect(b"still-3")
        self.finish(second, number)

    def test_ctrl_c_reaches_the_command_and_not_the_shell(self):
        terminal, number = self.shell()
        terminal.type(b"sleep 600\n")
        terminal.expect(b"sleep 600")
        terminal.type(b"\x10\x11")
        self.assertEqual(terminal.wait(), 0)
        again = self.attach(number)
        again.expect(b"sleep 600")
        time.sleep(0.5)  # the shell's child is in its place
        again.type(b"\x03")
        again.expect(b"ready> ")
        again.type(b"echo rc-$?\n")
        again.expect(b"rc-130")
        self.finish(again, number)

    def test_the_size_follows_whoever_is_attached(self):
        terminal, number = self.shell()
        terminal.type(b"stty size\n")
        terminal.expect(b"24 80")
        terminal.type(b"\x10\x11")
        self.assertEqual(terminal.wait(), 0)
        again = self.terminal("task", "attach", self.task_id, number, rows=30, columns=100)
        again.expect(b"24 80")
        again.type(b"stty size\n")
        again.expect(b"30 100")
        again.resize(31, 101, again.process)

        def has_new_size():
            again.type(b"stty size\n")
            again.read_some(1)
            return b"31 101" in again.seen
        wait_until(has_new_size, PATIENCE, "the new size does not arrive")
        self.finish(again, number)

    def test_a_program_is_asked_to_redraw(self):
        terminal, number = self.shell()
        terminal.type(b"trap 'echo redrawn' WINCH\n")
        terminal.expect(b"ready> ")
        terminal.type(b"\x10\x11")
        self.assertEqual(terminal.wait(), 0)
        again = self.attach(number)  # of the same size
        again.expect(b"trap")
        again.type(b"\n")  # a shell runs its traps between commands
        again.expect(b"redrawn")
        self.finish(again, number)

    def test_the_terminal_is_restored_however_pyro_ends(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            terminal, command = self.shell()
            self.assertTrue(terminal.is_raw())
            terminal.process.send_signal(number)
            self.assertEqual(terminal.wait(), 128 + number)
            self.assertTrue(terminal.is_as_before(), number)
            again = self.attach(command)
            again.expect(b"ready> ")
            wait_until(again.is_raw, PATIENCE, "it is not raw")
            again.type(b"exit\n")
            again.wait()
            self.assertTrue(again.is_as_before())

    def test_a_stop_from_outside_gives_the_terminal_back_until_it_is_continued(self):
        terminal, number = self.shell()
        terminal.process.send_signal(signal.SIGTSTP)
        wait_until(terminal.is_as_before, PATIENCE, "the terminal stays raw")
        terminal.process.send_signal(signal.SIGCONT)
        wait_until(terminal.is_raw, PATIENCE, "it is not raw again")
        self.finish(terminal, number)

    def test_input_that_was_closed_leaves_the_terminal_alone_also_after_a_stop(self):
        number = self.start("read line; echo closed; trap 'stty size' WINCH; while :; do sleep 0.1; done", "-t")
        closer = self.client("attach", "-i", self.task_id, number)
        self.assertEqual(closer.stdout.read(6), b"closed")
        terminal = self.attach(number)
        terminal.expect(b"24 80")
        terminal.resize(31, 101, None)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.expect(b"31 101")
        self.assertTrue(terminal.is_as_before())
        terminal.type(b"\x03")  # so it is a signal
        self.assertEqual(terminal.wait(), 130)

    def test_a_terminal_that_hangs_up_does_not_end_the_shell(self):
        terminal, number = self.shell()
        os.close(terminal.slave)
        terminal.slave = -1
        os.close(terminal.master)
        terminal.master = -1
        terminal.process.wait(PATIENCE)
        again = self.attach(number)
        again.type(b"echo alive-$((1+2))\n")
        again.expect(b"alive-3")
        self.finish(again, number)

    def test_started_detached_with_a_terminal(self):
        number = self.start("read line; echo got $line; exit 4", "-t")
        terminal = self.attach(number)
        wait_until(terminal.is_raw, PATIENCE, "it is not raw")
        terminal.type(b"hello\n")
        terminal.expect(b"got hello")
        self.assertEqual(terminal.wait(), 4)


class Pipes(AttachTest):
    """Commands without one."""

    def test_a_client_is_killed_and_the_result_is_found_by_who_attaches(self):
        client = self.client("exec", self.task_id, "-c", "echo begun; sleep 2; echo over; exit 3")
        self.assertEqual(client.stdout.read(6), b"begun\n")
        number = str(json.loads(task("logs", "--json", self.task_id))["commands"][-1]["number"])
        client.kill()
        client.wait()
        for _ in range(2):  # while it runs, and after its end
            done = pyro("task", "attach", self.task_id, number)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (3, b"begun\nover\n", b""))
        ended = journal(self.task_id, number)
        self.assertEqual((ended["exit_code"], ended["stdout"]), (3, "begun\nover\n"))

    def test_the_tail_alone_and_both_streams_in_their_order(self):
        number = self.start("echo first; echo second >&2; printf third; exit 0")
        wait_until(lambda: not journal(self.task_id, number)["running"], PATIENCE, "it does not end")
        done = pyro("task", "attach", "--tail", "12", self.task_id, number)
        self.assertEqual((done.stdout, done.stderr), (b"third", b"second\n"))
        result = json.loads(pyro("task", "attach", "--json", self.task_id, number).stdout)
        self.assertEqual((result["stdout"], result["stderr"], result["exit_code"]), ("first\nthird", "second\n", 0))

    def test_its_input_ends_with_its_client_unless_it_is_to_be_kept(self):
        client = self.client("exec", self.task_id, "-c", "cat; echo over", stdin=subprocess.PIPE)
        client.stdin.write(b"in\n")
        client.stdin.flush()
        self.assertEqual(client.stdout.read(3), b"in\n")
        number = str(json.loads(task("logs", "--json", self.task_id))["commands"][-1]["number"])
        client.kill()
        done = pyro("task", "attach", self.task_id, number)
        self.assertEqual((done.returncode, done.stdout), (0, b"in\nover\n"))
        kept = self.start("cat; echo over", "-i")
        pyro("task", "attach", "-i", self.task_id, kept, stdin=b"one ")
        done = pyro("task", "attach", self.task_id, kept)
        self.assertEqual((done.returncode, done.stdout), (0, b"one over\n"))

    def test_a_watcher_leaves_the_input_alone(self):
        kept = self.start("cat; echo over", "-i")
        watcher = self.client("attach", "--tail", "all", self.task_id, kept)
        writer = self.client("attach", "-i", self.task_id, kept, stdin=subprocess.PIPE)
        writer.stdin.write(b"x" * 300_000)
        writer.stdin.close()
        writer.stdin = None
        self.assertEqual(rest(watcher), b"x" * 300_000 + b"over\n")
        self.assertEqual(watcher.wait(PATIENCE), 0)

    def test_one_who_does_not_read_makes_nobody_wait(self):
        number = self.start("sleep 1; head -c 3000000 /dev/zero; echo over")
        sleeper = self.client("attach", "--tail", "all", self.task_id, number)
        reader = self.client("attach", "--tail", "all", self.task_id, number)
        self.assertEqual(len(rest(reader)), 3_000_005)
        self.assertEqual(reader.wait(PATIENCE), 0)
        self.assertFalse(journal(self.task_id, number)["running"])
        self.assertEqual(len(rest(sleeper)), 3_000_005)

    def test_the_first_client_does_not_read_and_is_let_go(self):
        first = self.client("exec", "--timeout", "none", self.task_id, "-c", "head -c 3000000 /dev/zero; echo over")
        self.assertEqual(len(first.stdout.read(1000)), 1000)
        number = str(json.loads(task("logs", "--json", self.task_id))["commands"][-1]["number"])
        first.send_signal(signal.SIGSTOP)
        second = self.client("attach", "--tail", "all", self.task_id, number)
        self.assertEqual(len(rest(second)), 3_000_005)
        self.assertEqual(second.wait(PATIENCE), 0)
        first.send_signal(signal.SIGCONT)
        _, err = first.communicate(timeout=PATIENCE)
        self.assertEqual(first.returncode, 125)
        self.assertIn(b"attach to it again", err)

    def test_ctrl_c_at_one_who_watches_is_not_for_the_command(self):
        number = self.start("sleep 600")
        watcher = self.client("attach", "-n", self.task_id, number)
        participant = self.client("attach", self.task_id, number)
        time.sleep(1)
        watcher.send_signal(signal.SIGINT)
        self.assertEqual(watcher.wait(PATIENCE), 130)
        self.assertTrue(journal(self.task_id, number)["running"])
        participant.send_signal(signal.SIGINT)
        self.assertEqual(participant.wait(PATIENCE), 130)
        self.assertEqual(journal(self.task_id, number)["term_signal"], signal.SIGINT)

    def test_what_there_is_nothing_to_attach_to(self):
        unknown = pyro("task", "attach", self.task_id, "9999")
        self.assertEqual(unknown.returncode, 125)
        self.assertIn(b"has no command 9999", unknown.stderr)
        for words in (("zzzzzzzzzzzz", "1"), (self.task_id, "0"), (self.task_id, "1", "--detach-keys", "hyper-x")):
            self.assertEqual(pyro("task", "attach", *words).returncode, 125)
        missing = task("exec", "-d", self.task_id, "--", "/no/such/program").strip()
        wait_until(lambda: not journal(self.task_id, missing)["running"], PATIENCE, "it does not end")
        done = pyro("task", "attach", self.task_id, missing)
        self.assertEqual(done.returncode, 127)
        self.assertIn(b"/no/such/program", done.stderr)


class Ends(VmTest):
    """The VM goes while somebody is attached."""

    def create(self):
        """A task of its own."""
        task_id = task("create", "--max-lifetime", "600", BASE).strip()
        self.addCleanup(task, "delete", task_id)
        return task_id

    def tearDown(self):
        self.doCleanups()
        super().tearDown()

    def attached(self, task_id):
        """A terminal that is attached to a shell."""
        number = task("exec", "-dt", "-e", "PS1=ready> ", task_id, "--", "sh").strip()
        terminal = Terminal("task", "attach", task_id, number)
        self.addCleanup(terminal.close)
        terminal.expect(b"ready> ")
        wait_until(terminal.is_raw, PATIENCE, "it is not raw")
        return terminal, number

    def test_killed_or_stopped_the_outcome_is_unknown_and_the_terminal_restored(self):
        task_id = self.create()
        terminal, number = self.attached(task_id)
        with open(os.path.join(os.environ["PYRO_HOME"], "vms", task_id, "run.json"), encoding="utf-8") as file:
            kill(json.load(file)["pid"])
        self.assertEqual(terminal.wait(), 125)
        self.assertIn(b"unknown", terminal.seen)
        self.assertTrue(terminal.is_as_before())
        late = pyro("task", "attach", task_id, number)
        self.assertEqual(late.returncode, 125)
        self.assertIn(b"unknown", late.stderr)
        wait_until(lambda: json.loads(task("status", "--json", task_id))["tasks"][0]["state"] == "failed", PATIENCE,
                   "it is not found failed")
        task("start", task_id)
        self.assertEqual(pyro("task", "attach", task_id, number).returncode, 125)
        terminal, _ = self.attached(task_id)
        task("stop", task_id)
        self.assertEqual(terminal.wait(), 125)
        self.assertTrue(terminal.is_as_before())


if __name__ == "__main__":
    unittest.main(verbosity=2)
