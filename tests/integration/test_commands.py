"""Commands of every kind give the result that a local run would give."""
import hashlib
import os
import unittest

from support import BASE, VmTest, run, run_json


class Commands(VmTest):
    def test_git_in_debian(self):
        done = run("debian:12", "git", "--version")
        self.assertEqual((done.returncode, done.stdout[:12]), (0, b"git version "), done)

    def test_python_script_over_stdin_writes_and_reads_files(self):
        script = b"""
import os, pathlib
p = pathlib.Path('/workspace/data.txt')
p.write_text('x' * 100000)
print(len(p.read_text()), os.getcwd())
"""
        done = run("debian:12", "python3", "-", stdin=script)
        self.assertEqual((done.returncode, done.stdout), (0, b"100000 /workspace\n"), done)

    def test_git_commit_in_workspace(self):
        done = run("debian:12", "sh", "-ec", """
            git init -q . && echo hello > a.txt && git add a.txt
            git -c user.name=n -c user.email=e@example.invalid commit -qm first
            git log --oneline | wc -l""")
        self.assertEqual((done.returncode, done.stdout.strip()), (0, b"1"), done)

    def test_compiles_cxx_in_build_environment(self):
        done = run("debian:12-build", "sh", "-ec", """
            printf '#include <iostream>\\nint main() { std::cout << 6 * 7; }' > a.cpp
            g++ -O1 -o a a.cpp && ./a""", options=("--timeout", "180"))
        self.assertEqual((done.returncode, done.stdout), (0, b"42"), done)

    def test_exit_codes_are_the_commands(self):
        for code in (0, 1, 77, 255):
            self.assertEqual(run(BASE, "sh", "-c", f"exit {code}").returncode, code)

    def test_death_by_signal_is_128_plus_n(self):
        result = run_json(BASE, "sh", "-c", "kill -SEGV $$")
        self.assertEqual((result["exit_code"], result["term_signal"]), (139, 11), result)

    def test_arguments_arrive_as_they_are(self):
        arguments = [b"", b"two words", b"'single' \"double\" \\", b"new\nline", "gr\u00fc\u00df \u65e5\u672c".encode(),
                     b"\xff\xfe invalid", b"*", b"$HOME", b"-n"]
        done = run(BASE, "sh", "-c", 'for a in "$@"; do printf "<%s>" "$a"; done', "sh", *arguments)
        self.assertEqual(done.stdout, b"".join(b"<" + a + b">" for a in arguments), done)

    def test_unknown_command_is_127(self):
        done = run(BASE, "no-such-command")
        self.assertEqual(done.returncode, 127, done)
        self.assertIn(b"no-such-command", done.stderr)
        self.assertEqual(done.stdout, b"")
        self.assertEqual(run(BASE, "").returncode, 127)

    def test_not_executable_is_126(self):
        self.assertEqual(run(BASE, "/etc/passwd").returncode, 126)
        self.assertEqual(run(BASE, "/etc").returncode, 126)

    def test_no_command_is_a_mistake_of_the_caller(self):
        self.assertEqual(run(BASE).returncode, 125)

    def test_environment_user_and_directory(self):
        done = run(BASE, "sh", "-c", 'echo "$(id -un) $(pwd) $NAME $HOME"',
                   options=("--env", "NAME=value with spaces", "--user", "nobody", "--cwd", "/tmp"))
        self.assertEqual(done.stdout, b"nobody /tmp value with spaces /nonexistent\n", done)

    def test_missing_directory_is_said(self):
        done = run(BASE, "true", options=("--cwd", "/no/such/place"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"/no/such/place", done.stderr)

    def test_binary_data_passes_unchanged(self):
        data = os.urandom(10 * 1024 * 1024)
        done = run(BASE, "cat", stdin=data, options=("--timeout", "120"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(hashlib.sha256(done.stdout).digest(), hashlib.sha256(data).digest())

    def test_both_streams_are_kept_apart(self):
        done = run(BASE, "sh", "-c", "echo out; echo err >&2")
        self.assertEqual((done.stdout, done.stderr), (b"out\n", b"err\n"))

    def test_what_the_kernel_leaves_out_of_its_start_is_known_to_it_by_one_name_each(self):
        done = run(BASE, "sh", "-ec", """
            names=$(sed 's/.*initcall_blacklist=//; s/ .*//' /proc/cmdline)
            echo "$names"
            grep -E " ($(echo "$names" | tr , '|'))$" /proc/kallsyms
            ls /sys/kernel""")
        self.assertEqual(done.returncode, 0, done)
        names, *lines = done.stdout.decode().splitlines()
        names = names.split(",")
        self.assertGreater(len(names), 10)
        self.assertEqual(sorted(line.split()[-1] for line in lines if len(line.split()) == 3), sorted(names))
        self.assertNotIn("slab", lines)

    def test_host_is_not_visible(self):
        done = run(BASE, "sh", "-c", "ls /workspace; cat /proc/cmdline; hostname; ip link 2>/dev/null; env",
                   env={**os.environ, "SECRET_OF_HOST": "leaked"})
        self.assertNotIn(b"leaked", done.stdout)
        self.assertNotIn(os.uname().nodename.encode() + b"\n", done.stdout)


if __name__ == "__main__":
    unittest.main()
