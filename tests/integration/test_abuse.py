"""Hostile commands: each gives a result or a typed error in seconds, and the host is unharmed."""
import os
import subprocess
import tempfile
import time
import unittest

from support import BASE, DEADLINE, PYRO, VmTest, run, run_json


class Abuse(VmTest):
    def test_timeout_kills_the_whole_tree(self):
        start = time.monotonic()
        result = run_json(BASE, "sh", "-c", "echo partial; setsid sleep 999 & exec sleep 999", options=("--timeout", "2"))
        self.assertLess(time.monotonic() - start, 30)
        self.assertTrue(result["timed_out"], result)
        self.assertEqual((result["exit_code"], result["stdout"]), (124, "partial\n"), result)
        self.assertGreaterEqual(result["duration_ms"], 1900)
        self.assertLess(result["duration_ms"], 4000)

    def test_timeout_exit_code_of_the_program(self):
        self.assertEqual(run(BASE, "sleep", "999", options=("--timeout", "0.5")).returncode, 124)

    def test_background_processes_do_not_hold_the_result(self):
        start = time.monotonic()
        done = run(BASE, "sh", "-c", "sleep 999 & echo done", options=("--timeout", "60"))
        self.assertEqual((done.returncode, done.stdout), (0, b"done\n"))
        self.assertLess(time.monotonic() - start, 30)

    def test_fork_bomb(self):
        result = run_json(BASE, "sh", "-c", "f() { f | f & }; f; sleep 999", options=("--timeout", "5"))
        self.assertTrue(result["timed_out"], result)
        self.assertLess(result["duration_ms"], 9000)

    def test_memory_hog_is_killed_and_said(self):
        result = run_json("debian:12", "python3", "-c", "x = bytearray(8 << 30); print(len(x))", options=("--mem-mib", "512"))
        # Python gets a MemoryError where the kernel refuses; what counts here is that the guest survives.
        self.assertNotEqual(result["exit_code"], 0, result)
        result = run_json(BASE, "sh", "-c", "head -c 2G /dev/zero | tail -c 2G | wc -c",
                          options=("--mem-mib", "256", "--timeout", "90"))
        self.assertTrue(result["oom_killed"], result)

    def test_full_disk_in_the_guest(self):
        result = run_json(BASE, "sh", "-c", "dd if=/dev/zero of=/workspace/f bs=1M; echo still here",
                          options=("--disk-mib", "64", "--timeout", "60"))
        self.assertEqual(result["exit_code"], 0, result)
        self.assertIn("No space left", result["stderr"])
        self.assertEqual(result["stdout"], "still here\n")

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small disk needs root")
    def test_full_disk_of_the_host(self):
        """What the guest writes lies in PYRO_HOME: the command gets an error, the VM does not stop."""
        with tempfile.TemporaryDirectory() as home:
            small_home = """
                mount -t tmpfs -o size=48m,mode=700 tmpfs "$1" && mkdir "$1/environments" &&
                mount --bind "$PYRO_HOME/environments" "$1/environments" && shift 1 && PYRO_HOME=$0 exec "$@" """
            start = time.monotonic()
            done = subprocess.run(
                ["unshare", "--mount", "sh", "-c", small_home, home, home, PYRO, "run", "--timeout", "120", BASE, "--",
                 "dd", "if=/dev/zero", "of=/workspace/f", "bs=1M", "count=200", "conv=fsync"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE, check=False)
        self.assertIn(b"/workspace/f", done.stderr, done)
        self.assertNotIn(done.returncode, (0, 124, 125), done)
        self.assertLess(time.monotonic() - start, 100, done)

    def check_ends(self, *command, environment=BASE, seconds=30):
        """The command may do what it likes: there is a result or a typed error, soon."""
        start = time.monotonic()
        result = run_json(environment, *command, options=("--timeout", "10"))
        self.assertLess(time.monotonic() - start, seconds, result)
        return result

    def test_guest_powers_off_or_reboots(self):
        # reboot(2) through sysrq and through the system call.
        for key in ("o", "b"):
            result = self.check_ends("sh", "-c", f"echo {key} > /proc/sysrq-trigger; sleep 20")
            self.assertTrue("exit_code" in result or "error" in result, result)
        call = "import ctypes; libc = ctypes.CDLL(None); libc.reboot(0x{:x}); import time; time.sleep(20)"
        for magic in (0x01234567, 0x4321fedc):
            result = self.check_ends("python3", "-c", call.format(magic), environment="debian:12")
            # The kernel lets the caller of reboot(2) in a pid namespace exit with 0 and kills the others.
            self.assertEqual(result.get("exit_code"), 0, result)
            self.assertLess(result["duration_ms"], 9000, result)

    def test_kernel_panic(self):
        result = self.check_ends("sh", "-c", "echo before; echo c > /proc/sysrq-trigger; sleep 20")
        if "error" in result:
            self.assertEqual(result["error"]["code"], "outcome_unknown", result)
            self.assertIn("panic", result["error"]["message"], result)

    def test_kills_everything_it_sees(self):
        result = self.check_ends("sh", "-c", "kill -9 -1; echo alive")
        self.assertEqual(result["stdout"], "alive\n", result)

    def test_cannot_reach_the_agent(self):
        done = run(BASE, "sh", "-c", "ls /proc | grep -c '^[0-9]'; cat /proc/1/comm; ls /dev")
        self.assertLess(int(done.stdout.split()[0]), 8, done)
        self.assertNotIn(b"vport", done.stdout)
        self.assertNotIn(b"vda", done.stdout)

    def test_writes_to_every_device(self):
        result = self.check_ends("sh", "-c", """
            for class in /sys/class/virtio-ports/* /sys/block/vd*; do
              n=$(cat $class/dev | tr : ' '); type=b; case $class in *virtio-ports*) type=c;; esac
              mknod /tmp/node $type $n && dd if=/dev/zero of=/tmp/node bs=64k count=100 2>/dev/null; rm -f /tmp/node
            done; echo survived""")
        self.assertTrue("exit_code" in result or "error" in result, result)

    def test_remounts_and_unmounts(self):
        result = self.check_ends("sh", "-c", "umount -a -l; mount -o remount,ro / ; echo alive")
        self.assertTrue("exit_code" in result or "error" in result, result)


if __name__ == "__main__":
    unittest.main()
