"""Files of a task without a command: what is written is there, what is hostile gets nowhere, what is cut off leaves no half."""
import base64
import io
import json
import os
import re
import signal
import stat
import subprocess
import tarfile
import tempfile
import time
import unittest

from support import BASE, DEADLINE, ENGINE, PYRO, VmTest, kill, pyro, wait_until

MIB = 1024 * 1024
EXIT_FAILED = 125


def task(action, *args, **more):
    """pyro task ACTION ARGS, which must succeed; output as text."""
    done = pyro("task", action, *args, **more)
    if done.returncode != 0:
        raise AssertionError(f"pyro task {action} {args}: {done!r}")
    return done.stdout.decode("utf-8", "surrogateescape")


def task_json(action, *args, **more):
    """The same with --json."""
    return json.loads(task(action, "--json", *args, **more))


def refusal(action, *args, **more):
    """The error of a call that must fail: (code, message)."""
    done = pyro("task", action, "--json", *args, **more)
    if done.returncode != EXIT_FAILED:
        raise AssertionError(f"pyro task {action} {args} should have failed: {done!r}")
    error = json.loads(done.stdout)["error"]
    return error["code"], error["message"]


def execute(task_id, line, **more):
    """A shell line in a task: its output."""
    return task("exec", task_id, "-c", line, **more)


def tree_of(root):
    """What is in a directory, as {path: (type, permission bits or link, content)}."""
    found = {}
    root = os.fsencode(root)
    for folder, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            key = os.path.relpath(path, root)
            if os.path.islink(path):
                found[key] = ("link", os.readlink(path), b"")
            elif os.path.isdir(path):
                found[key] = ("directory", mode & 0o777, b"")
            else:
                with open(path, "rb") as file:
                    found[key] = ("file", mode & 0o777, file.read())
    return found


def make_tree(root):
    """One of everything that is to survive a journey."""
    root = os.fsencode(root)
    os.makedirs(os.path.join(root, b"dir/deep"))
    for name, content, mode in ((b"empty", b"", 0o644), (b"dir/program", b"#!/bin/sh\n", 0o755), (b"secret", b"x", 0o600),
                                (b"dir/deep/" + b"n" * 200, b"long name", 0o644), (b"\xff\xfe binary", b"\0\1\2", 0o644),
                                (b"big", os.urandom(5 * MIB + 7), 0o644)):
        with open(os.path.join(root, name), "wb") as file:
            file.write(content)
        os.chmod(os.path.join(root, name), mode)
    os.symlink(b"/etc/passwd", os.path.join(root, b"absolute"))
    os.symlink(b"nowhere", os.path.join(root, b"dir/dangling"))


def tar_of(*entries, tar_format=tarfile.PAX_FORMAT):
    """A tar of (name, attributes, content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as archive:
        for name, attributes, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


class FileTest(VmTest):
    """Makes a task, and deletes it before it looks for what is left over."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.task_id = self.create()

    def create(self, *options):
        """A running task."""
        task_id = task("create", "--max-lifetime", str(DEADLINE), *options, BASE).strip()
        self.addCleanup(task, "delete", task_id)
        return task_id

    def tearDown(self):
        self.doCleanups()
        super().tearDown()

    def local(self, name):
        """A path on the host."""
        return os.path.join(self.folder, name)

    def remote(self, path):
        """A path in the task."""
        return f"{self.task_id}:{path}"


class Single(FileTest):
    """One file or directory at a time."""

    def test_what_is_written_is_read(self):
        for content in (b"", b"text\n", b"\0\xff", os.urandom(5 * MIB + 1)):
            task("write", self.task_id, "file", stdin=content)
            done = pyro("task", "cat", self.task_id, "/workspace/file")
            self.assertEqual((done.returncode, done.stdout), (0, content))
            self.assertEqual(task_json("stat", self.task_id, "file")["file"]["size_bytes"], len(content))
        # Commands see it, and see the file that it was replaced by.
        self.assertEqual(execute(self.task_id, "wc -c <file").strip(), str(5 * MIB + 1))
        self.assertEqual(task_json("logs", self.task_id)["commands"][-1]["number"], 1)

    def test_parts_of_a_file(self):
        task("write", self.task_id, "f", stdin=b"0123456789")
        part = task_json("cat", "--max-bytes", "4", "--offset", "3", self.task_id, "f")
        self.assertEqual((part["data"], part["truncated"], part["file_size_bytes"]), ("3456", True, 10))
        part = task_json("cat", "--max-bytes", "10", self.task_id, "f")
        self.assertEqual((part["data"], part["truncated"]), ("0123456789", False))
        self.assertEqual(task("cat", "--offset", "100", self.task_id, "f"), "")
        self.assertIn("Linux", task("cat", self.task_id, "/proc/version"))

    def test_modes_users_and_what_is_replaced(self):
        task("write", "--mode", "750", self.task_id, "f", stdin=b"1")
        task("write", self.task_id, "f", stdin=b"2")
        self.assertEqual(task_json("stat", self.task_id, "f")["file"]["mode"], "0750")
        task("write", "--user", "nobody", self.task_id, "mine", stdin=b"3")
        self.assertEqual(execute(self.task_id, "stat -c %U mine").strip(), "nobody")
        task("write", self.task_id, "mine", stdin=b"4")
        self.assertEqual(execute(self.task_id, "stat -c %U mine").strip(), "nobody")
        self.assertEqual(refusal("write", "--user", "nobody", self.task_id, "/etc/x", stdin=b"")[0], "invalid")
        # Through a link: that stays one.
        execute(self.task_id, "mkdir /tmp/t; echo old >/tmp/t/target; ln -s /tmp/t/target link")
        task("write", self.task_id, "link", stdin=b"new")
        self.assertEqual(execute(self.task_id, "test -L link && cat /tmp/t/target"), "new")

    def test_directories(self):
        task("mkdir", "-p", self.task_id, "a/b/c")
        self.assertEqual(refusal("mkdir", self.task_id, "a")[0], "exists")
        task("mkdir", "-p", self.task_id, "a")
        for name in ("b-", "a.txt", "z"):
            task("write", self.task_id, f"a/{name}", stdin=b"x")
        listed = task_json("ls", self.task_id, "a")
        self.assertEqual([one["path"] for one in listed["files"]], ["a.txt", "b", "b-", "z"])
        listed = task_json("ls", "-r", "--limit", "3", self.task_id)
        self.assertEqual(([one["path"] for one in listed["files"]], listed["truncated"]), (["a", "a/a.txt", "a/b"], True))
        self.assertEqual(refusal("rm", self.task_id, "a")[0], "state")
        task("rm", "-r", self.task_id, "a")
        self.assertEqual(task_json("ls", self.task_id)["files"], [])

    def test_names_that_are_no_text(self):
        execute(self.task_id, r"printf x >$(printf '\377\376n'); ln -s $(printf 't\377') l")
        files = task_json("ls", self.task_id)["files"]
        self.assertEqual(base64.b64decode(files[1]["path_base64"]), b"\xff\xfen")
        self.assertEqual(base64.b64decode(files[0]["target_base64"]), b"t\xff")
        self.assertEqual(task("cat", self.task_id, b"\xff\xfen"), "x")

    def test_wrong_paths_and_states(self):
        execute(self.task_id, "mkdir d; touch d/x f; mkfifo fifo; ln -s loop loop")
        for code, action, path in (("not_found", "cat", "none"), ("state", "cat", "d"), ("state", "cat", "fifo"),
                                   ("state", "cat", "f/x"), ("state", "cat", "loop"), ("state", "ls", "f"),
                                   ("not_found", "ls", "none"), ("not_found", "stat", "none"), ("not_found", "rm", "none"),
                                   ("state", "rm", "d"), ("state", "write", "d"), ("state", "write", "fifo"),
                                   ("not_found", "write", "none/f"), ("state", "write", "f/x"),
                                   ("not_found", "mkdir", "none/d"), ("exists", "mkdir", "f"),
                                   ("invalid", "rm", "."), ("invalid", "rm", ".."), ("invalid", "rm", "/"),
                                   ("invalid", "stat", "x" * 4096), ("invalid", "stat", "x" * 300)):
            with self.subTest(action=action, path=path[:20]):
                found, message = refusal(action, self.task_id, path)
                self.assertEqual(found, code, message)
                if len(path) < 100 and path.split("/")[0] != "none":
                    self.assertIn(path, message)
        self.assertEqual(refusal("cat", self.task_id, "")[0], "invalid")
        self.assertEqual(refusal("write", "--exclusive", self.task_id, "f", stdin=b"")[0], "exists")
        self.assertEqual(refusal("cat", "k7dq2mxw4zpa", "f")[0], "not_found")
        self.assertEqual(refusal("cat", "../../etc", "f")[0], "invalid")
        self.assertEqual(refusal("cat", "--user", "nobody-of-that-name", self.task_id, "f")[0], "invalid")
        code, message = refusal("ls", "--limit", "1000001", self.task_id)
        self.assertEqual(code, "invalid")
        self.assertIn("1 to 1000000", message)
        task("stop", self.task_id)
        code, message = refusal("cat", self.task_id, "f")
        self.assertEqual(code, "state")
        self.assertIn("stopped", message)

    def test_no_path_leads_to_the_host(self):
        with open(self.local("host"), "w", encoding="ascii") as file:
            file.write("of the host")
        up = "../" * 40
        for path in (self.local("host"), up + self.local("host").lstrip("/"), "/proc/1/root" + self.local("host")):
            for action in ("cat", "stat", "ls", "rm", "write", "mkdir"):
                with self.subTest(action=action, path=path):
                    self.assertEqual(refusal(action, self.task_id, path + "/x")[0], "not_found")
        for path in (up + "etc/hostname", "/workspace/" + up + "etc/hostname"):
            self.assertTrue(task("cat", self.task_id, path).startswith("pyro-"))
            self.assertIn("pyro-", task("cat", self.task_id, path))
        task("write", self.task_id, up + "tmp/w", stdin=b"in the guest")
        self.assertEqual(execute(self.task_id, "cat /tmp/w"), "in the guest")
        self.assertFalse(os.path.exists("/tmp/w"))
        for path in (self.local("host"), up + self.local("host").lstrip("/")):
            for words in (("cp", f"{self.task_id}:{path}", self.local("got")), ("exec", "-w", path, self.task_id, "--", "true")):
                done = pyro("task", *words)
                self.assertNotEqual(done.returncode, 0, words)
                self.assertFalse(os.path.exists(self.local("got")))
        task("cp", self.local("host"), f"{self.task_id}:{up}tmp/w2")
        self.assertEqual(execute(self.task_id, "cat /tmp/w2"), "of the host")
        self.assertFalse(os.path.exists("/tmp/w2"))

    def test_a_full_disk_is_said_and_leaves_the_old_file(self):
        task_id = self.create("--disk", "64")
        task("write", task_id, "f", stdin=b"old")
        code, message = refusal("write", task_id, "f", stdin=bytes(100 * MIB))
        self.assertEqual(code, "limit", message)
        self.assertIn("No space", message)
        self.assertEqual(task("cat", task_id, "f"), "old")
        self.assertEqual([one["path"] for one in task_json("ls", task_id)["files"]], ["f"])

    def test_half_a_file_is_none(self):
        task("write", self.task_id, "f", stdin=b"old")
        # pylint: disable=consider-using-with
        writer = subprocess.Popen([PYRO, "task", "write", self.task_id, "f"], stdin=subprocess.PIPE)
        writer.stdin.write(bytes(MIB))
        writer.stdin.flush()
        wait_until(lambda: json.loads(task("status", "--json", self.task_id))["tasks"][0]["running_commands"] == 1, 30,
                   "the write has not begun")
        kill(writer.pid)
        writer.wait()
        writer.stdin.close()
        wait_until(lambda: json.loads(task("status", "--json", self.task_id))["tasks"][0]["running_commands"] == 0, 30,
                   "the write goes on")
        self.assertEqual(task("cat", self.task_id, "f"), "old")
        self.assertEqual(execute(self.task_id, "ls -A"), "f\n")


class Trees(FileTest):
    """Whole trees, both ways."""

    def test_a_tree_comes_back_as_it_was(self):
        source, copy = self.local("source"), self.local("copy")
        make_tree(source)
        sent = task_json("cp", source, self.remote("tree"))
        self.assertEqual((sent["entry_count"], sent["skipped_count"]), (11, 0))
        got = task_json("cp", self.remote("tree"), copy)
        self.assertEqual((got["entry_count"], got["byte_count"]), (sent["entry_count"], sent["byte_count"]))
        self.assertEqual(tree_of(copy), tree_of(source))
        self.assertEqual(os.stat(os.path.join(copy, "big")).st_mtime, int(os.stat(os.path.join(source, "big")).st_mtime))
        # Not once more on top of itself: a guest's tree is not mixed with what is there.
        code, message = refusal("cp", self.remote("tree"), copy)
        self.assertEqual(code, "exists", message)
        self.assertEqual(tree_of(copy), tree_of(source))
        self.assertEqual(execute(self.task_id, "cat tree/dir/deep/n*"), "long name")

    def test_what_fails_on_the_host_is_told_as_that(self):
        execute(self.task_id, "mkdir d; head -c 1000000 /dev/zero >d/f")
        limited = ["sh", "-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh", PYRO, "task", "cp", "--json"]
        for source, target, more in (("d/f", "f", []), ("d", "d", []), ("d", "t.tar", ["--tar"])):
            with self.subTest(target):
                done = subprocess.run([*limited, *more, self.remote(source), self.local(target)], stdout=subprocess.PIPE, check=False)
                error = json.loads(done.stdout)["error"]
                self.assertEqual((done.returncode, error["code"]), (EXIT_FAILED, "limit"))
                self.assertIn(self.local(target), error["message"])
                self.assertIn("File too large (on this host; in the guest nothing was changed)", error["message"])
        # And what fails in the guest is told as that: not as a guest that is lost.
        code, message = refusal("cat", self.task_id, "/proc/self/mem")
        self.assertEqual((code, "/proc/self/mem" in message), ("internal", True), message)

    def test_a_download_has_the_caller_s_umask(self):
        execute(self.task_id, "umask 0; mkdir -m 1777 d; touch d/f; chmod 4777 d/f")
        for umask, directory, file in ((0o022, 0o755, 0o755), (0o077, 0o700, 0o700), (0, 0o777, 0o777)):
            copy = self.local(f"copy{umask}")
            task("cp", self.remote("d"), copy, umask=umask)
            task("cp", self.remote("d/f"), copy + "f", umask=umask)
            task("cp", "--tar", self.remote("d"), copy + ".tar", umask=umask)
            self.assertEqual([stat.S_IMODE(os.stat(copy + name).st_mode) for name in ("", "/f", "f", ".tar")],
                             [directory, file, file, 0o666 & ~umask])

    def test_single_files(self):
        with open(self.local("f"), "wb") as file:
            file.write(b"content")
        task("cp", self.local("f"), self.remote("g"))
        task("cp", "-p", self.local("f"), self.remote("new/dir/h"))
        task("cp", self.local("f"), self.remote("."))
        self.assertEqual(execute(self.task_id, "cat g new/dir/h f"), "content" * 3)
        self.assertEqual(refusal("cp", self.local("f"), self.remote("missing/f"))[0], "not_found")
        self.assertEqual(refusal("cp", self.local("none"), self.remote("f"))[0], "not_found")
        task("cp", self.remote("g"), self.local("copy"))
        os.mkdir(self.local("into"))
        task("cp", self.remote("g"), self.local("into"))
        self.assertEqual({key: value[2] for key, value in tree_of(self.folder).items() if value[0] == "file"},
                         {b"f": b"content", b"copy": b"content", b"into/g": b"content"})
        self.assertEqual(refusal("cp", self.remote("none"), self.local("x"))[0], "not_found")
        self.assertFalse(os.path.exists(self.local("x")))

    def test_tar_streams(self):
        make_tree(self.local("source"))
        stream = subprocess.run(["tar", "c", "-C", self.local("source"), "."], stdout=subprocess.PIPE, check=True).stdout
        task("cp", "-p", "-", self.remote("a/b"), stdin=stream)
        back = pyro("task", "cp", self.remote("a/b"), "-")
        self.assertEqual(back.returncode, 0)
        os.mkdir(self.local("copy"))
        subprocess.run(["tar", "x", "-C", self.local("copy")], input=back.stdout, check=True)
        self.assertEqual(tree_of(self.local("copy")), tree_of(self.local("source")))
        with open(self.local("t.tar"), "wb") as file:
            file.write(stream)
        task("cp", "--tar", self.local("t.tar"), self.remote("c"))
        task("cp", "--tar", self.remote("a/b"), self.local("d.tar"))
        with open(self.local("d.tar"), "rb") as file:
            self.assertTrue(file.read() == back.stdout)
        self.assertEqual(execute(self.task_id, "diff -r --no-dereference a/b c"), "")
        for broken in (stream[:2 * MIB], b"no tar at all" * 100, b""):
            self.assertEqual(refusal("cp", "-", self.remote("e"), stdin=broken)[0], "invalid")
        self.assertEqual(refusal("cp", "--tar", self.local("source/big"), self.remote("e"))[0], "invalid")

    def test_seed_diff_and_export(self):
        source = self.local("source")
        make_tree(source)
        task_id = self.create("--seed", source)
        self.assertEqual(task_json("diff", task_id)["files"], [])
        task("cp", f"{task_id}:/workspace", self.local("copy"))
        self.assertEqual(tree_of(self.local("copy")), tree_of(source))
        execute(task_id, "rm -r dir; echo more >>secret; mkdir new; echo x >new/f; ln -sf elsewhere absolute; chmod 640 empty")
        task("stop", task_id)
        task("start", task_id)
        changes = [(one["change"], one["path"]) for one in task_json("diff", task_id)["files"]]
        self.assertEqual(changes, [("changed", "absolute"), ("removed", "dir"), ("removed", "dir/dangling"),
                                   ("removed", "dir/deep"), ("removed", "dir/deep/" + "n" * 200),
                                   ("removed", "dir/program"), ("changed", "empty"), ("added", "new"), ("added", "new/f"),
                                   ("changed", "secret")])
        self.assertTrue(task_json("diff", "--limit", "3", task_id)["truncated"])
        self.assertTrue(task("diff", task_id).startswith("C absolute\nR dir\n"))
        task("export", task_id, self.local("one.tar"))
        streamed = pyro("task", "export", task_id, "-").stdout
        with open(self.local("one.tar"), "rb") as file:
            self.assertEqual(file.read(), streamed)
        with tarfile.open(self.local("one.tar")) as archive:
            self.assertEqual(archive.extractfile("new/f").read(), b"x\n")
        # A tar as seed; and seeds that are none.
        from_tar = self.create("--seed", self.local("one.tar"))
        self.assertEqual(task_json("diff", from_tar)["files"], [])
        self.assertEqual(task("cat", from_tar, "new/f"), "x\n")
        before = {one["id"] for one in json.loads(task("list", "--json"))["tasks"]}
        self.assertEqual(refusal("create", "--seed", self.local("none"), BASE)[0], "not_found")
        self.assertEqual(refusal("create", "--seed", os.path.join(source, "big"), BASE)[0], "invalid")
        self.assertEqual({one["id"] for one in json.loads(task("list", "--json"))["tasks"]}, before)

    def test_a_creation_that_ends_in_its_seed_leaves_no_task(self):
        os.mkdir(self.local("seed"))
        with open(self.local("seed/f"), "wb") as file:
            file.truncate(2000 * MIB)

        def tasks():
            return {one["id"] for one in json.loads(task("list", "--json"))["tasks"]}
        before = tasks()
        # It does not fit.
        self.assertEqual(refusal("create", "--disk", "64", "--seed", self.local("seed"), BASE)[0], "limit")
        self.assertEqual(tasks(), before)
        vms = os.path.join(os.environ["PYRO_HOME"], "vms")
        for signal_number, ends_with in ((signal.SIGINT, 128 + signal.SIGINT), (signal.SIGKILL, -signal.SIGKILL)):
            folders = set(os.listdir(vms))
            running = self.left_over()
            # pylint: disable=consider-using-with
            creator = subprocess.Popen([PYRO, "task", "create", "--max-lifetime", str(DEADLINE), "--seed",
                                        self.local("seed"), BASE], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.addCleanup(creator.stderr.close)
            while b"upload of /workspace" not in creator.stderr.readline():
                self.assertIsNone(creator.poll())
            self.assertEqual(tasks(), before)
            # One whose supervisor is slow to end is nothing to wait for.
            stopped = self.left_over() - running
            self.assertTrue(stopped)
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            began = time.monotonic()
            creator.send_signal(signal_number)
            self.assertEqual(creator.wait(60), ends_with)
            self.assertLess(time.monotonic() - began, 1)
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
            self.assertEqual(tasks(), before)
            self.assertEqual(set(os.listdir(vms)) == folders, signal_number == signal.SIGINT)
            wait_until(lambda: self.left_over() <= running, 10, "its VM goes on")  # pylint: disable=cell-var-from-loop

    def test_without_a_seed_all_is_new(self):
        self.assertEqual(task_json("diff", self.task_id)["files"], [])
        execute(self.task_id, "mkdir a; touch a/b")
        self.assertEqual([one["change"] for one in task_json("diff", self.task_id)["files"]], ["added", "added"])

    def test_what_is_being_written_while_it_is_read(self):
        task("exec", "-d", "--timeout", "60", self.task_id, "-c",
             "mkdir w; while :; do head -c 300000 /dev/urandom >w/grow; : >w/grow; mkdir -p w/d/e; echo x >w/d/e/f; rm -r w/d; done")
        for number in range(5):
            task("cp", self.remote("."), self.local(f"copy{number}"))


class Hostile(FileTest):
    """What a guest, or a tar of anybody, must not get."""

    def test_hostile_tars_write_nothing_outside_in_the_guest(self):
        for name, entries in {
                "absolute": [("/tmp/x", {}, b"bad")],
                "dotdot": [("../x", {}, b"bad")],
                "deep dotdot": [("a/../../x", {}, b"bad")],
                "link": [("l", {"type": tarfile.SYMTYPE, "linkname": "/tmp"}, b""), ("l/x", {}, b"bad")],
                "hard link": [("h", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}, b"")],
                "hard link up": [("h", {"type": tarfile.LNKTYPE, "linkname": "../x"}, b"")],
        }.items():
            with self.subTest(name):
                self.assertIn(refusal("cp", "-", self.remote("d"), stdin=tar_of(*entries))[0], ("invalid", "state"))
        self.assertEqual(execute(self.task_id, "ls -A /tmp; ls -A; find d -type f"), "d\n")
        node = tar_of(("dev", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, b""),
                      ("fifo", {"type": tarfile.FIFOTYPE}, b""), ("set", {"mode": 0o6755}, b"x"))
        self.assertEqual(task_json("cp", "-", self.remote("d"), stdin=node)["skipped_count"], 2)
        self.assertEqual(execute(self.task_id, "cd d; stat -c '%a %n' [!l]*"), "755 set\n")

    def test_a_guest_s_links_are_made_and_not_followed(self):
        victim = self.local("victim")
        os.mkdir(victim)
        with open(os.path.join(victim, "f"), "w", encoding="ascii") as file:
            file.write("untouched")
        execute(self.task_id, f"mkdir t; ln -s {victim} t/out; ln -s ../../../../.. t/up; mkfifo t/p; mknod t/n c 1 3")
        got = task_json("cp", self.remote("t"), self.local("copy"))
        self.assertEqual(got["skipped_count"], 2)
        self.assertEqual(os.readlink(self.local("copy/out")), victim)
        # The next download brings a directory of that name, for the link to lead into.
        execute(self.task_id, "rm t/out; mkdir t/out; echo bad >t/out/f")
        code, message = refusal("cp", self.remote("t"), self.local("copy"))
        self.assertEqual(code, "exists", message)
        with open(os.path.join(victim, "f"), encoding="ascii") as file:
            self.assertEqual(file.read(), "untouched")

    def test_a_directory_in_place_of_a_file_is_not_mixed_with_what_is_there(self):
        home = self.local("home")
        os.makedirs(os.path.join(home, ".ssh"), 0o700)
        execute(self.task_id, "mkdir -p report.txt/.ssh; chmod 777 report.txt/.ssh; echo key >report.txt/.ssh/authorized_keys")
        code, message = refusal("cp", self.remote("report.txt"), home)
        self.assertEqual(code, "exists", message)
        self.assertEqual(os.listdir(os.path.join(home, ".ssh")), [])
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(home, ".ssh")).st_mode), 0o700)

    def test_caps(self):
        execute(self.task_id, "mkdir many; cd many; seq 3000 | xargs touch; truncate -s 40G sparse")
        code, message = refusal("cp", "--max-entries", "1000", self.remote("many"), self.local("a"))
        self.assertEqual(code, "limit")
        self.assertIn("1000", message)
        code, message = refusal("cp", self.remote("many"), self.local("b"))
        self.assertEqual(code, "limit")
        self.assertIn("max_bytes", message)
        self.assertFalse(os.path.exists(self.local("b/sparse")))
        # The same from the other side: a tar that claims more than it may.
        huge = tarfile.TarInfo("huge")
        huge.size = 1 << 45
        self.assertEqual(refusal("cp", "-", self.remote("c"), stdin=huge.tobuf(tarfile.PAX_FORMAT))[0], "limit")
        entries = tar_of(*[(f"f{number}", {}, b"") for number in range(200)])
        self.assertEqual(refusal("cp", "--max-entries", "100", "-", self.remote("c"), stdin=entries)[0], "limit")
        deep = tar_of(("d/" * 300 + "x", {}, b""))
        self.assertEqual(refusal("cp", "-", self.remote("c"), stdin=deep)[0], "limit")
        self.assertEqual(refusal("cp", "-", self.remote("c"), stdin=tar_of(("n" * 300, {}, b"")))[0], "invalid")

    def test_a_timeout_is_an_error_of_its_own(self):
        code, message = refusal("cp", "--timeout", "0.5", "-", self.remote("t"), stdin=b"")
        self.assertEqual(code, "invalid", message)
        # pylint: disable=consider-using-with
        writer = subprocess.Popen([PYRO, "task", "write", "--json", "--timeout", "0.5", self.task_id, "f"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(writer.stdout.close)
        self.addCleanup(writer.stdin.close)
        self.assertEqual(writer.wait(60), EXIT_FAILED)
        self.assertEqual(json.loads(writer.stdout.read())["error"]["code"], "timeout")
        self.assertEqual(execute(self.task_id, "ls -A"), "t\n")


class Lost(FileTest):
    """Who goes in the middle."""

    def start_upload(self):
        """An upload that waits in the middle of a file."""
        head = tarfile.TarInfo("half")
        head.size = 10 * MIB
        # pylint: disable=consider-using-with
        sender = subprocess.Popen([PYRO, "task", "cp", "--json", "-", self.remote("up")], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        self.addCleanup(sender.stdout.close)
        self.addCleanup(sender.stdin.close)
        self.addCleanup(lambda: (kill(sender.pid), sender.wait()))
        sender.stdin.write(tar_of(("whole", {}, b"1"))[:1024] + head.tobuf() + bytes(MIB))
        sender.stdin.flush()
        wait_until(lambda: pyro("task", "cat", self.task_id, "up/whole").stdout == b"1", 60, "nothing has come")
        return sender

    def test_the_task_is_stopped(self):
        sender = self.start_upload()
        task("stop", self.task_id)
        self.assertEqual(sender.wait(60), EXIT_FAILED)
        self.assertEqual(json.loads(sender.stdout.read())["error"]["code"], "outcome_unknown")
        task("start", self.task_id)
        self.assertEqual(execute(self.task_id, "ls -A up"), "whole\n")

    def test_the_client_is_killed(self):
        sender = self.start_upload()
        kill(sender.pid)
        sender.wait()
        wait_until(lambda: json.loads(task("status", "--json", self.task_id))["tasks"][0]["running_commands"] == 0, 30,
                   "the upload goes on")
        self.assertEqual(execute(self.task_id, "ls -A up"), "whole\n")

    def test_a_download_is_interrupted(self):
        execute(self.task_id, "mkdir d; head -c 100 /dev/zero >d/a; head -c 60000000 /dev/urandom >d/b", timeout=DEADLINE)
        # pylint: disable=consider-using-with
        receiver = subprocess.Popen([PYRO, "task", "cp", "-q", self.remote("d"), self.local("copy")])
        wait_until(lambda: os.path.exists(self.local("copy/a")), 60, "nothing has come")
        receiver.send_signal(signal.SIGINT if ENGINE == "software" else signal.SIGKILL)
        receiver.wait(60)
        # Where files cannot be without a name, what is killed leaves one that says so.
        left = {name: what for name, what in tree_of(self.local("copy")).items() if not name.startswith(b".pyro-new-")}
        self.assertTrue(left.keys() <= {b"a", b"b"} and (b"b" not in left or len(left[b"b"][2]) == 60000000), left.keys())
        wait_until(lambda: json.loads(task("status", "--json", self.task_id))["tasks"][0]["running_commands"] == 0, 30,
                   "the guest goes on")

    def test_it_keeps_the_task_alive(self):
        task("ttl", self.task_id, "1")
        sender = self.start_upload()
        time.sleep(2.5)
        self.assertEqual(json.loads(task("status", "--json", self.task_id))["tasks"][0]["state"], "running")
        kill(sender.pid)


if __name__ == "__main__":
    unittest.main()
