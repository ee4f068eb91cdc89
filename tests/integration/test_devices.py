"""What a guest's devices do for it and for the host: seen from inside, and in what the host has left."""
import json
import os
import subprocess
import unittest

from support import BASE, DEADLINE, ENGINE, PYRO, wait_until
from test_registry import RegistryTest

MIB = 1 << 20
# Its device type in virtio.
NET = 1
# Asks the kernel to take a module in (init_module); one that is there already, or built in, is fine.
INSMOD = """binmode STDIN; local $/; my $m = <STDIN>; syscall(175, $m, length $m, my $none = "") == 0 || $! == 17 || die $!"""


def newc_files(archive):
    """The files of a cpio archive in format newc, as {name: content}."""
    found, at = {}, 0
    while archive[at:at + 6] == b"070701":
        size, name_size = (int(archive[at + 6 + 8 * field:at + 14 + 8 * field], 16) for field in (6, 11))
        name = archive[at + 110:at + 110 + name_size - 1].decode()
        at += (110 + name_size + 3) // 4 * 4
        found[name] = archive[at:at + size]
        at += (size + 3) // 4 * 4
    return found


class Devices(RegistryTest):
    """All in one VM, a task."""

    USED_MIB = 120

    def setUp(self):
        super().setUp()
        self.task_id = self.create_task()
        self.folder = os.path.join(self.home, "vms", self.task_id)
        with open(os.path.join(self.folder, "run.json"), encoding="utf-8") as file:
            self.supervisor = json.load(file)["pid"]

    def inside(self, line, stdin=b""):
        """What a command prints in the VM."""
        done = self.run_pyro("task", "exec", "--timeout", "100", self.task_id, "-c", line, stdin=stdin)
        self.assertEqual((done.returncode, done.stderr), (0, b""), done)
        return done.stdout.decode()

    def modules(self):
        """The kernel modules of the environment: {name: content}."""
        environments = os.path.join(self.home, "environments")

        def load(*path):
            with open(os.path.join(environments, *path), "rb") as file:
                return file.read()
        digest = json.loads(load("names", BASE))["manifest"].removeprefix("sha256:")
        initramfs = json.loads(load("manifests", digest + ".json"))["initramfs"]["digest"]
        return newc_files(load("blobs", initramfs.removeprefix("sha256:")))

    def load_drivers(self, *names):
        """The agent loads what commands need; these are for devices that none does."""
        modules = self.modules()
        for name in names:
            if content := modules.get(f"modules/{name}.ko"):
                self.inside(f"perl -e '{INSMOD}'", stdin=content)

    def test_the_devices_of_a_running_guest(self):
        for what, step in (("a file of the disk is deleted: the host gets its blocks back", self.check_trim),
                           ("a file of the root image is read: the guest keeps no copy", self.check_root_is_memory),
                           ("network: a device, and no link", self.check_net),
                           ("random numbers: the kernel has a source", self.check_rng),
                           ("memory is used and freed: the host gets it back", self.check_free_pages)):
            with self.subTest(what):
                if ENGINE != "kvm" and step != self.check_trim:  # pylint: disable=comparison-with-callable
                    self.skipTest("a device of our own")
                step()

    def blocks_mib(self):
        """What the VM's disk takes of the host's."""
        return os.stat(os.path.join(self.folder, "disk")).st_blocks * 512 // MIB

    def check_trim(self):
        self.inside("head -c 64M /dev/urandom >/workspace/big; sync")
        full = self.blocks_mib()
        self.assertGreaterEqual(full, 64)
        self.assertEqual(self.inside("rm /workspace/big; sync; fstrim /workspace; echo $?"), "0\n")
        self.assertLess(self.blocks_mib(), full - 56)

    def guest_mib(self, name):
        """A number of /proc/meminfo."""
        return int(self.inside(f"grep ^{name}: /proc/meminfo").split()[1]) // 1024

    def check_root_is_memory(self):
        self.inside("echo 3 >/proc/sys/vm/drop_caches")
        before = self.guest_mib("Cached")
        read = int(self.inside("find /usr -xdev -type f -size +256k -exec cat {} + | wc -c")) // MIB
        self.assertGreater(read, 20)
        self.assertLess(self.guest_mib("Cached"), before + read // 8)

    def check_net(self):
        self.load_drivers("failover", "net_failover", "virtio_net")
        shown = self.inside("mkdir /run/sys; mount -t sysfs sysfs /run/sys; cd /run/sys/class/net; ls; cd eth0; "
                            "echo 0x1003 >flags; cat device/device carrier operstate; umount -l /run/sys")
        self.assertEqual(shown, f"eth0\nlo\n0x{NET:04x}\n0\ndown\n")

    def check_rng(self):
        self.load_drivers("virtio-rng")
        self.assertRegex(self.inside("cat /sys/class/misc/hw_random/rng_current"), "^virtio_rng")

    def supervisor_mib(self):
        """Memory of the VM that is in use on the host."""
        with open(f"/proc/{self.supervisor}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // MIB

    def check_free_pages(self):
        # Some seconds after the start.
        wait_until(lambda: self.inside("grep -c ^virtio_balloon /proc/modules || true") == "1\n", 20, "no balloon driver")
        script = f"perl -e '$| = 1; vec($all, {self.USED_MIB} << 20, 8) = 1; print qq(held\n); <STDIN>'"
        with subprocess.Popen([PYRO, "task", "exec", "--timeout", "100", self.task_id, "-c", script], env=self.env,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            self.assertEqual(process.stdout.readline(), b"held\n")
            held = self.supervisor_mib()
            process.communicate(b"\n", timeout=DEADLINE)
        self.assertEqual(process.returncode, 0)
        self.assertGreater(held, self.USED_MIB)
        wait_until(lambda: self.supervisor_mib() < held - self.USED_MIB * 3 // 4, 20, f"of {held} MiB too few are given back")


if __name__ == "__main__":
    unittest.main()
