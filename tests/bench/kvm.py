#!/usr/bin/env python3
"""The kvm engine beside QEMU's microvm on the same KVM (./dev bench --kvm), in one run.

Prints a table, or JSON with --json; exits 1 if a bar is missed. Where KVM is nested the times are a multiple of
those of real hardware, and exits cost more than they do there: compare ratios, and count the exits.
"""
import argparse
import glob
import json
import logging
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import files as file_trees
import libpyro
import tasks
from figures import Figures
from qemu_guest import boot, run

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../kvm-host"))
from boot_files import cpio, regular  # noqa: E402 pylint: disable=wrong-import-position

MIB = 1024 * 1024
TRACING = "/sys/kernel/tracing"
ENVIRONMENT = "debian:12"
BUILD = os.path.abspath(os.environ.get("PYRO_TEST_BINARY_DIR", os.path.join(HERE, "../../build")))
WARM_BYTES = 2 << 30
SHA256 = ["sh", "-c", "head -c 64M /dev/zero | sha256sum"]
LOOP = ["python3", "-c", "x = 0\nfor i in range(3000000): x += i * i"]


class ExitTrace:
    """Counts why guests leave for their host while it is in use ('with'); `kinds` has the counts then. All guests of
    the host: let there be one. 8 MiB hold some 100,000 exits, fifty times what a boot takes."""

    def __init__(self):
        self.kinds = {}
        self.usable = subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACING], stderr=subprocess.DEVNULL,
                                     check=False).returncode in (0, 32) and os.path.exists(f"{TRACING}/events/kvm")

    @staticmethod
    def write(name, text):
        """Sets a file of tracefs."""
        with open(os.path.join(TRACING, name), "w", encoding="ascii") as file:
            file.write(text)

    def __enter__(self):
        if self.usable:
            self.write("buffer_size_kb", "8192")
            self.write("trace", "")
            self.write("events/kvm/kvm_exit/enable", "1")
        return self

    def __exit__(self, *_):
        if not self.usable:
            return
        self.write("events/kvm/kvm_exit/enable", "0")
        with open(os.path.join(TRACING, "trace"), encoding="ascii", errors="replace") as file:
            for line in file:
                if match := re.search(r"kvm_exit:.* reason (\S+)", line):
                    self.kinds[match[1]] = self.kinds.get(match[1], 0) + 1


class Bench(Figures):
    """Measures."""

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.pyro = libpyro.Pyro(log_level="debug")
        self.log = []
        handler = logging.Handler()
        handler.emit = lambda record: self.log.append(record.getMessage())
        logging.getLogger("libpyro").addHandler(handler)
        logging.getLogger("libpyro").setLevel(logging.DEBUG)

    def start(self, command, **options):
        """Starts a command in a new VM and waits until it runs: (operation, seconds that took)."""
        start = time.monotonic()
        operation = self.pyro.start_run_in_vm(ENVIRONMENT, command, engine="kvm", timeout_seconds=300,
                                              boot_timeout_seconds=120, **options)
        for event in operation:
            if isinstance(event, libpyro.Started):
                return operation, time.monotonic() - start
        raise SystemExit("bench: the command never started")

    def files(self, folder):
        """What the same guest takes under QEMU: paths of kernel, initrd, root and scratch, and the kernel's command line."""
        program = os.path.join(BUILD, "bin/pyro")
        shown = subprocess.run([program, "env", "inspect", "--json", ENVIRONMENT], stdout=subprocess.PIPE, check=True)
        manifest = json.loads(shown.stdout)["environments"][0]["manifest"]
        home = os.environ.get("PYRO_HOME") or os.path.expanduser("~/.local/share/pyro")

        def blob(part):
            return os.path.join(home, "environments/blobs", manifest[part]["digest"].split(":")[1])
        with open(blob("initramfs"), "rb") as file:
            archive = file.read()
        with open(os.path.join(BUILD, "libexec/pyro/pyro-agent"), "rb") as file:
            agent = file.read()
        initrd = os.path.join(folder, "initrd")
        with open(initrd, "wb") as file:
            file.write(archive + bytes(-len(archive) % 4) + cpio([regular("init", agent, 0o755)]))
        scratch = os.path.join(folder, "scratch")
        subprocess.run(["truncate", "-s", "2G", scratch], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", scratch], check=True)
        told = self.pyro.run_in_vm(ENVIRONMENT, ["cat", "/proc/cmdline"], engine="kvm", boot_timeout_seconds=120)
        return blob("kernel"), initrd, blob("root"), scratch, told.stdout.decode().strip()

    def cold_boot(self, files):
        """Process start to agent ready."""
        ours, started, theirs = [], [], []
        # A nested host's memory is slow where it is used for the first time, whoever does that.
        del [bytearray(WARM_BYTES)][:]
        self.start(["true"])[0].close()
        for _ in range(self.options.runs):  # in turns, so that a slow minute hits both alike
            self.log.clear()
            operation, seconds = self.start(["true"])
            started.append(seconds)
            for _ in operation:
                pass
            operation.close()
            ours.append(next(int(found[1]) / 1000 for line in self.log
                             if (found := re.search(r"the guest was ready after (\d+) ms", line))))
            with boot(*files) as guest:
                theirs.append(guest.ready_s)
        self.add("QEMU microvm: start to agent ready", statistics.median(theirs) * 1000, "ms")
        self.add("pyro: call to agent ready", statistics.median(ours) * 1000, "ms")
        self.add("pyro: call to command started", statistics.median(started) * 1000, "ms")
        self.add("cold boot", statistics.median(ours) / statistics.median(theirs), "x", 0.6, "QEMU microvm")

    def exits(self, files):
        """How often each guest left for its host until it was ready, by kind."""
        def statistics_of(pid):
            found = {}
            for folder in glob.glob(f"/sys/kernel/debug/kvm/{pid}-*/"):
                for name in ("exits", "mmio_exits", "irq_injections"):
                    paths = [folder + name, *glob.glob(f"{folder}vcpu*/{name}")]
                    for path in paths:
                        try:
                            with open(path, encoding="ascii") as file:
                                found[name] = found.get(name, 0) + int(file.read())
                                break
                        except OSError:
                            continue
            return found
        subprocess.run(["mount", "-t", "debugfs", "debugfs", "/sys/kernel/debug"], stderr=subprocess.DEVNULL, check=False)
        our_trace, their_trace = ExitTrace(), ExitTrace()
        with our_trace:
            operation, _ = self.start(["sleep", "99"])
        with operation:
            ours = statistics_of(self.supervisor())
        with their_trace:
            guest = boot(*files)
        with guest:
            theirs = statistics_of(guest.process.pid)
        for kind in sorted({*our_trace.kinds, *their_trace.kinds}, key=lambda kind: -our_trace.kinds.get(kind, 0)):
            self.add(f"boot: exits of kind {kind}, pyro", our_trace.kinds.get(kind, 0), "")
            self.add(f"boot: exits of kind {kind}, QEMU", their_trace.kinds.get(kind, 0), "")
        for name in theirs:
            self.add(f"boot: {name}, pyro", ours.get(name, 0), "")
            self.add(f"boot: {name}, QEMU", theirs[name], "")
        for line in self.log:
            if match := re.search(r"boot: the guest was left (\d+) times(.*)", line):
                print(f"exits to pyro-vm until ready: {match[1]}{match[2]}", file=sys.stderr)
                break

    @staticmethod
    def supervisor():
        """Pid of the one supervisor below this process."""
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            for pid in file.read().split():
                with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                    if comm.read().strip() == "pyro-vm":
                        return int(pid)
        raise SystemExit("bench: no supervisor")

    def memory(self):
        """What pyro-vm has for itself: private memory that is not the guest's. The guest's are its RAM and the root image,
        which is memory to it: pages of the host's page cache that are another guest's, too, once there is one."""
        operation, _ = self.start(["sleep", "99"], mem_mib=512)
        with operation:
            pid = self.supervisor()
            private_kib = 0
            with open(f"/proc/{pid}/smaps", encoding="ascii") as file:
                for line in file:
                    if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
                        is_guests = int(match[2], 16) - int(match[1], 16) >= 512 * MIB or "/environments/blobs/" in line
                    elif line.startswith(("Private_Clean:", "Private_Dirty:")) and not is_guests:
                        private_kib += int(line.split()[1])
            self.add("pyro-vm: private memory without the guest's", private_kib / 1024, "MiB", 5)
            threads = []
            for task in sorted(glob.glob(f"/proc/{pid}/task/*/comm")):
                with open(task, encoding="ascii") as comm:
                    threads.append(comm.read().strip())
            self.add("pyro-vm: threads", len(threads), "")
            names = [os.readlink(path) for path in glob.glob(f"/proc/{pid}/fd/*")]
            self.add("pyro-vm: descriptors", len(names), "")
            kinds = {}
            for name in names:
                kind = re.sub(r"[:\[(].*|/proc/.*/", "", name) or name
                kinds[kind] = kinds.get(kind, 0) + 1
            print(f"threads: {threads}; descriptors: {kinds}", file=sys.stderr)

    def work(self, files):
        """The guest's own speed."""
        for name, command in (("sha256 of 64 MiB", SHA256), ("python3 loop", LOOP)):
            script = ["sh", "-c", 'f() { "$@" >/dev/null; }; f "$@"; s=$(date +%s%N); f "$@"; f "$@"; '
                      "e=$(date +%s%N); echo $((e - s))", "-", *command]
            ours, theirs = [], []
            for _ in range(max(2, self.options.runs // 2)):
                ours.append(int(self.pyro.run_in_vm(ENVIRONMENT, script, engine="kvm", timeout_seconds=300).stdout))
                theirs.append(int(run(script, *files)))
            self.add(f"{name}, pyro", min(ours) / 2e6, "ms")
            self.add(f"{name}, QEMU", min(theirs) / 2e6, "ms")
            self.add(f"{name}", min(ours) / min(theirs), "x", 1.02, "QEMU microvm")

    def disks(self, root):
        """MiB/s of files as the guest reads them, and of the root image `root` as the host does."""
        script = ("f=$(find / -xdev -type f -size +4M 2>/dev/null | xargs ls -S | head -12); cat $f >/dev/null; "
                  "n=$(cat $f | wc -c); s=$(date +%s%N); cat $f >/dev/null; e=$(date +%s%N); echo $n $((e - s)); "
                  "dd if=/dev/zero of=/workspace/f bs=1M count=128 conv=fsync 2>/dev/null; s=$(date +%s%N); "
                  "dd if=/workspace/f of=/dev/null bs=1M iflag=direct 2>/dev/null; e=$(date +%s%N); "
                  "echo $((128 << 20)) $((e - s))")
        lines = self.pyro.run_in_vm(ENVIRONMENT, script, engine="kvm", timeout_seconds=300).stdout_text.splitlines()
        for name, line in zip(("pmem (root image) read", "virtio-blk (scratch, direct) read"), lines):
            size, nanoseconds = map(int, line.split())
            self.add(name, size / MIB / (nanoseconds / 1e9), "MiB/s")
        for _ in range(2):  # what is not in the page cache is read by the first
            start = time.monotonic()
            with open(root, "rb") as file:
                size = sum(len(data) for data in iter(lambda: file.read(MIB), b""))
            seconds = time.monotonic() - start
        self.add("host: read of the same root image, cached", size / MIB / seconds, "MiB/s")

    def streams(self):
        """Guest to client."""
        size = self.options.stream_mib * MIB
        operation, _ = self.start(["head", "-c", str(size), "/dev/zero"])
        start, total = time.monotonic(), 0
        for event in operation:
            if isinstance(event, libpyro.Stdout):
                total += len(event.data)
        self.add("stream guest to client", total / MIB / (time.monotonic() - start), "MiB/s")

    def run(self):
        """All of it."""
        with tempfile.TemporaryDirectory() as folder:
            files = self.files(folder)
            self.memory()
            self.exits(files)
            self.cold_boot(files)
            if not self.options.boot_only:
                self.work(files)
                self.disks(files[2])
                self.streams()
                home = os.environ.get("PYRO_HOME") or os.path.join(
                    os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "pyro")
                tasks.measure(self, "debian:12", home, self.options.runs, 300)
                # Small: the nested host has all that is written in its memory, three times.
                file_trees.measure(self, os.path.join(BUILD, "bin/pyro"), "debian:12", 128, 1250)


def main():
    """Gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--runs", type=int, default=5, help="boots of each kind (default: 5)")
    parser.add_argument("--stream-mib", type=int, default=64, help="size of a stream (default: 64)")
    parser.add_argument("--boot-only", action="store_true", help="memory, exits and cold boot only")
    options = parser.parse_args()
    bench = Bench(options)
    try:
        bench.run()
    finally:
        bench.show(options.json)
    return bench.exit_code()


if __name__ == "__main__":
    sys.exit(main())
