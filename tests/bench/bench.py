#!/usr/bin/env python3
"""Speed and memory of libpyro, each beside its yardstick in the same run.

Absolute times say little on a shared machine: the ratios are what to compare. Prints a table, or
JSON with --json; exits 1 if a bar is missed.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import files
import tasks
from figures import Figures

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../kvm-host"))
from boot_files import cpio, regular  # noqa: E402 pylint: disable=wrong-import-position

MIB = 1024 * 1024

TRIVIAL_INIT = r"""
#include <sys/reboot.h>
#include <unistd.h>
int main(void) {
  (void)!write(1, "up\n", 3);
  return reboot(RB_AUTOBOOT);
}
"""

TSC_KHZ = r"""
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>
static long long ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}
int main(void) {
  const long long start_ns = ns();
  const unsigned long long start = __rdtsc();
  while (ns() - start_ns < 20000000) {
  }
  printf("%.0f", (double)(__rdtsc() - start) * 1e6 / (double)(ns() - start_ns));
  return 0;
}
"""


def compiled(folder, name, text, *flags):
    """Compiles a C program."""
    source, program = os.path.join(folder, name + ".c"), os.path.join(folder, name)
    with open(source, "w", encoding="ascii") as file:
        file.write(text)
    subprocess.run(["cc", "-O2", *flags, "-o", program, source], check=True)
    return program


def timed_boot(command):
    """As timed(). On a busy host a kernel that must calibrate its TSC itself may hang: those boots do not count."""
    for _ in range(20):
        try:
            return timed(command, timeout=20)
        except subprocess.TimeoutExpired:
            print("bench: a bare boot hung; tried again", file=sys.stderr)
    raise SystemExit("bench: the bare microvm never boots")


def timed(command, timeout=120):
    """Milliseconds of one run of command."""
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=timeout, check=False)
    elapsed = (time.monotonic() - start) * 1000
    if done.returncode != 0:
        raise SystemExit(f"{command}: exit code {done.returncode}: {done.stderr.decode(errors='replace')}")
    return elapsed


def peak_rss_mib(pid):
    """Most memory that a process has had so far."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def children(pid):
    """Direct children of a process."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


class Bench(Figures):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.pyro = options.pyro

    def kernel(self):
        """The guest kernel of debian:12 in the store."""
        shown = subprocess.run([self.pyro, "env", "inspect", "--json", "debian:12"], stdout=subprocess.PIPE, check=True)
        digest = json.loads(shown.stdout)["environments"][0]["manifest"]["kernel"]["digest"].split(":")[1]
        home = os.environ.get("PYRO_HOME") or os.path.join(
            os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "pyro")
        return os.path.join(home, "environments", "blobs", digest)

    def bare_boot(self, folder):
        """Command of a QEMU microvm that boots the same kernel to an init that reboots at once."""
        with open(compiled(folder, "init", TRIVIAL_INIT, "-static"), "rb") as file:
            init = file.read()
        initrd = os.path.join(folder, "initrd")
        with open(initrd, "wb") as file:
            file.write(cpio([regular("init", init, 0o755)]))
        return ["qemu-system-x86_64", "-M", "microvm,acpi=on,pcie=off,rtc=on", "-accel", "tcg,thread=multi,tb-size=128",
                "-cpu", "max", "-m", "1024M", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-serial", "stdio", "-kernel", self.kernel(), "-initrd", initrd,
                "-append", "console=ttyS0 quiet panic=-1 mitigations=off init_on_alloc=0 tsc=reliable"]

    def cold_start(self):
        with tempfile.TemporaryDirectory() as folder:
            bare = self.bare_boot(folder)
            khz = subprocess.run([compiled(folder, "tsc", TSC_KHZ)], stdout=subprocess.PIPE, check=True).stdout.decode()
            tuned = bare[:-1] + [f"{bare[-1]} tsc_early_khz={khz} no_timer_check lpj=4000000 cryptomgr.notests"]
            command = [self.pyro, "run", "-q", "debian:12", "--", "true"]
            timed(command)
            times = {"bare": [], "tuned": [], "pyro": []}
            for _ in range(self.options.runs):  # in turns, so that a slow minute hits all alike
                times["bare"].append(timed_boot(bare))
                times["tuned"].append(timed_boot(tuned))
                times["pyro"].append(timed(command))
        median = {name: statistics.median(values) for name, values in times.items()}
        self.add("bare microvm boot, kernel defaults", median["bare"], "ms")
        self.add("bare microvm boot, pyro's kernel options", median["tuned"], "ms")
        self.add("pyro run debian:12 -- true", median["pyro"], "ms")
        self.add("cold start", median["pyro"] / median["bare"], "x", 1.5, "bare boot, kernel defaults")
        self.add("cold start, equal kernel options", median["pyro"] / median["tuned"], "x", 1.5, "bare boot, pyro's options")

    def stream(self, name, command, size, feed):
        """Streams `size` bytes one way and samples memory of client and supervisor."""
        process = subprocess.Popen([self.pyro, "run", "-q", "--timeout", "300", "debian:12", "--", *command],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        peaks = {"client": 0.0, "supervisor": 0.0}
        done = threading.Event()

        def sample():
            while not done.wait(0.05):
                peaks["client"] = max(peaks["client"], peak_rss_mib(process.pid))
                for child in children(process.pid):
                    with open(f"/proc/{child}/comm", encoding="ascii") as comm:
                        if comm.read().strip() == "pyro-vm":
                            peaks["supervisor"] = max(peaks["supervisor"], peak_rss_mib(child))
        sampler = threading.Thread(target=sample)
        sampler.start()
        process.stdout.read(1)  # the command runs
        start = time.monotonic()
        if feed:
            block = bytes(MIB)
            for _ in range(size // MIB):
                process.stdin.write(block)
            process.stdin.close()
            process.stdout.read()
        else:
            left = size
            while left > 0 and (chunk := process.stdout.read(min(left, MIB))):
                left -= len(chunk)
        elapsed = time.monotonic() - start
        done.set()
        sampler.join()
        if not process.stdin.closed:
            process.stdin.close()
        process.stdout.close()
        if process.wait(60) != 0:
            raise SystemExit(f"{name}: exit code {process.returncode}")
        self.add(name, size / MIB / elapsed, "MiB/s")
        self.add(f"{name}: client peak memory", peaks["client"], "MiB", 32)
        self.add(f"{name}: supervisor peak memory", peaks["supervisor"], "MiB", 32)

    def sizes(self):
        library = os.path.join(os.path.dirname(self.pyro), "../lib/libpyro.so")
        with tempfile.TemporaryDirectory() as folder:
            copy = os.path.join(folder, "libpyro.so")
            shutil.copy(os.path.realpath(library), copy)
            subprocess.run(["strip", copy], check=True)
            self.add("libpyro.so, stripped", os.path.getsize(copy) / MIB, "MiB", 6)
        self.add("pyro --help", min(timed([self.pyro, "--help"]) for _ in range(10)), "ms", 20)
        with tempfile.TemporaryDirectory() as home:
            def cold_doctor(number):
                environment = {**os.environ, "PYRO_HOME": os.path.join(home, str(number))}
                start = time.monotonic()
                subprocess.run([self.pyro, "doctor"], stdout=subprocess.DEVNULL, env=environment, check=False)
                return (time.monotonic() - start) * 1000
            self.add("pyro doctor, cold probe cache", min(cold_doctor(n) for n in range(5)), "ms", 150)

    def run(self):
        size = self.options.stream_mib * MIB
        self.sizes()
        self.cold_start()
        self.stream("stream guest to client", ["sh", "-c", f"printf x; exec head -c {size} /dev/zero"], size, False)
        self.stream("stream client to guest", ["sh", "-c", "printf x; exec wc -c"], size, True)
        home = os.environ.get("PYRO_HOME") or os.path.join(
            os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "pyro")
        tasks.measure(self, "debian:12", home, self.options.runs, self.options.commands)
        files.measure(self, self.pyro, "debian:12", self.options.tree_mib, self.options.tree_files)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--runs", type=int, default=5, help="cold starts of each kind (default: 5)")
    parser.add_argument("--stream-mib", type=int, default=256, help="size of a stream (default: 256)")
    parser.add_argument("--commands", type=int, default=tasks.COMMANDS, help=f"of a task (default: {tasks.COMMANDS})")
    parser.add_argument("--tree-mib", type=int, default=1024, help="size of the tree that is copied (default: 1024)")
    parser.add_argument("--tree-files", type=int, default=10_000, help="files in it (default: 10000)")
    parser.add_argument("--pyro", default=os.path.abspath(os.path.join(HERE, "../../build/bin/pyro")), help="the program")
    options = parser.parse_args()
    bench = Bench(options)
    bench.run()
    bench.show(options.json)
    return bench.exit_code()


if __name__ == "__main__":
    sys.exit(main())
