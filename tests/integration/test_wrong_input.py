"""Mistakes of the caller and of the host: refused early, in words that help."""
import os
import stat
import subprocess
import tempfile
import unittest

from support import BASE, ENGINE, VmTest, pyro, run


def fails(test, done, *words):
    """pyro's own failure, naming all of `words`."""
    test.assertEqual(done.returncode, 125, done)
    test.assertEqual(done.stdout, b"", done)
    for word in words:
        test.assertIn(word.encode(), done.stderr, done)


class WrongInput(VmTest):
    def test_unknown_environment_lists_the_known(self):
        fails(self, run("debian:99", "true"), "debian:99", "debian:12-base", "debian:12-build")

    def test_names_that_are_paths(self):
        for name in ("../../etc/passwd", "/etc", "a/b", "debian:12/..", ".", "", "x" * 300, "debian:12\n"):
            fails(self, run(name, "true"))

    def test_limits_out_of_range_name_the_range(self):
        for option, value in (("--mem-mib", "1"), ("--mem-mib", "99999999"), ("--vcpu-count", "17"),
                              ("--disk-mib", "1"), ("--timeout", "-5")):
            fails(self, run(BASE, "true", options=(option, value)))
        fails(self, run(BASE, "true", options=("--mem-mib", "1")), "128", "65536")

    def test_network_is_not_built_yet(self):
        fails(self, run(BASE, "true", options=("--network",)), "network")

    @unittest.skipIf(ENGINE == "kvm", "KVM is usable here")
    def test_kvm_engine_is_refused_with_the_reason(self):
        fails(self, run(BASE, "true", options=("--engine", "kvm")), "KVM")

    def test_arguments_that_are_too_long(self):
        fails(self, run(BASE, *(["x" * 100000] * 12)))

    def test_unwritable_home(self):
        with tempfile.TemporaryDirectory() as folder:
            blocked = os.path.join(folder, "file")
            with open(blocked, "w", encoding="ascii"):
                pass
            fails(self, run(BASE, "true", env={**os.environ, "PYRO_HOME": os.path.join(blocked, "home")}), blocked)

    def test_home_of_somebody_else(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to make one")
        with tempfile.TemporaryDirectory() as folder:
            os.chown(folder, 65534, 65534)
            fails(self, run(BASE, "true", env={**os.environ, "PYRO_HOME": folder}), folder)

    @unittest.skipIf(ENGINE == "kvm", "the engine without QEMU")
    def test_missing_qemu_names_the_package(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to hide a program in a mount namespace")
        script = f'mount --bind /dev/null /usr/bin/qemu-system-x86_64 && exec "$0" run {BASE} -- true'
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, os.environ["PYRO_BIN"]], capture_output=True,
                              timeout=60, check=False)
        fails(self, done, "qemu-system-x86")


@unittest.skipIf(ENGINE == "kvm", "the same for both engines, and needs Debian's packages, which a nested host cannot get")
class BrokenEnvironment(VmTest):
    """Works on a copy of the home, so that the others keep theirs."""

    def setUp(self):
        super().setUp()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.home = os.path.join(self.folder.name, "home")
        original = os.path.join(os.environ["PYRO_HOME"], "environments")
        os.makedirs(self.home, 0o700)
        subprocess.run(["cp", "-a", "--sparse=always", "--reflink=auto", original, self.home], check=True)
        self.env = {**os.environ, "PYRO_HOME": self.home}

    def root_image(self):
        """The root image of the base environment: its largest file."""
        import json
        shown = pyro("env", "inspect", "--json", BASE, env=self.env)
        digest = json.loads(shown.stdout)["environments"][0]["manifest"]["root"]["digest"]
        return os.path.join(self.home, "environments", "blobs", digest.split(":")[1])

    def check_refused_and_mended(self):
        done = run(BASE, "true", env=self.env)
        fails(self, done, BASE)
        self.assertNotEqual(pyro("env", "inspect", "--verify", BASE, env=self.env).returncode, 0)
        mended = pyro("env", "build", "--force", BASE, env=self.env, timeout=400)
        self.assertEqual(mended.returncode, 0, mended.stderr)
        self.assertEqual(run(BASE, "echo", "mended", env=self.env).stdout, b"mended\n")

    def test_a_copy_works(self):
        self.assertEqual(run(BASE, "echo", "hi", env=self.env).stdout, b"hi\n")

    def test_flipped_byte(self):
        image = self.root_image()
        os.chmod(image, 0o644)
        with open(image, "r+b") as file:
            file.seek(os.path.getsize(image) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        os.chmod(image, 0o444)
        self.check_refused_and_mended()

    def test_truncated_file(self):
        image = self.root_image()
        os.chmod(image, 0o644)
        os.truncate(image, os.path.getsize(image) // 2)
        self.check_refused_and_mended()


class FullDisk(VmTest):
    def test_full_home(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to mount a small file system")
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", folder], check=True)
            try:
                done = run(BASE, "true", env={**os.environ, "PYRO_HOME": os.path.join(folder, "home")})
                fails(self, done, "disk", folder)
            finally:
                subprocess.run(["umount", folder], check=True)


class Privacy(VmTest):
    def test_a_running_vm_shows_nothing_of_its_client(self):
        from support import helpers, wait_until
        marker = "marker-4711"
        process = subprocess.Popen([os.environ["PYRO_BIN"], "run", BASE, "--", "sh", "-c", f"echo up; sleep 60; : {marker}"],
                                   stdout=subprocess.PIPE, env={**os.environ, "PRIVATE": marker}, cwd=tempfile.gettempdir())
        try:
            self.assertEqual(process.stdout.readline(), b"up\n")
            expected = 2 if ENGINE == "software" else 1
            wait_until(lambda: len(helpers() - self.helpers_before) == expected, 5, "no helpers")
            for pid in helpers() - self.helpers_before:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    cmdline = file.read()
                self.assertNotIn(marker.encode(), cmdline)
                self.assertNotIn(os.environ["PYRO_HOME"].encode(), cmdline)
                with open(f"/proc/{pid}/environ", "rb") as file:
                    self.assertEqual(file.read(), b"")
                self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


class Modes(unittest.TestCase):
    def test_home_is_private(self):
        home = os.environ["PYRO_HOME"]
        self.assertEqual(stat.S_IMODE(os.stat(home).st_mode) & 0o077, 0)


if __name__ == "__main__":
    unittest.main()
