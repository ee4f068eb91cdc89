#!/usr/bin/env python3
"""Runs several unittest files one after the other: a whole group in one boot of the nested host.

Fails if a file fails, or if nothing ran because everything was skipped; exit code 75 if no guest boots in this host, or
hardly one after a failure.
"""
import argparse
import glob
import os
import re
import signal
import subprocess
import sys
import threading
import time


# sysexits.h, EX_TEMPFAIL: what `run --attempts` takes for "not in this nested host".
EXIT_HOST = 75
BOOT_SECONDS = 30
KVM_COUNTS = ("exits", "io_exits", "mmio_exits", "irq_exits", "halt_exits", "irq_injections")


def boots(while_it_hangs=None):
    """Whether a guest boots here and runs a command."""
    program = os.environ.get("PYRO_BIN", "pyro")
    with subprocess.Popen([program, "run", "-q", "--engine", "kvm", "--boot-timeout", str(BOOT_SECONDS),
                           "debian:12-base", "--", "true"], stdin=subprocess.DEVNULL, stdout=sys.stderr) as process:
        if while_it_hangs:
            try:
                process.wait(BOOT_SECONDS / 2)
            except subprocess.TimeoutExpired:
                while_it_hangs()
        return process.wait(4 * BOOT_SECONDS) == 0


def show_kvm():
    """Prints what KVM's counters and trace say of the guests that run."""
    def counts():
        return {name: [int(open(path, encoding="ascii").read()) for path in  # pylint: disable=consider-using-with
                       glob.glob(f"/sys/kernel/debug/kvm/*/{name}") + glob.glob(f"/sys/kernel/debug/kvm/*/vcpu*/{name}")]
                for name in KVM_COUNTS}
    for kind, place in (("debugfs", "/sys/kernel/debug"), ("tracefs", "/sys/kernel/tracing")):
        subprocess.run(["mount", "-t", kind, kind, place], stderr=subprocess.DEVNULL, check=False)
    try:
        print(f"suite: counts {counts()}", file=sys.stderr)
        trace = "/sys/kernel/tracing/"
        for switch, value in (("events/kvm/enable", "1"), ("tracing_on", "1")):
            with open(trace + switch, "w", encoding="ascii") as file:
                file.write(value)
        time.sleep(1)
        with open(trace + "tracing_on", "w", encoding="ascii") as file:
            file.write("0")
        with open(trace + "trace", encoding="utf-8", errors="replace") as file:
            print("".join(file.readlines()[-40:]), file=sys.stderr)
        print(f"suite: counts {counts()}", file=sys.stderr, flush=True)
        # What the guests' local APICs wait for, and since when.
        previous = ""
        with open("/proc/timer_list", encoding="ascii") as file:
            for line in file:
                if line.startswith("now at") or "apic_timer_fn" in line or "apic_timer_fn" in previous:
                    print(line, end="", file=sys.stderr)
                previous = line
    except OSError as error:
        print(f"suite: {error}", file=sys.stderr, flush=True)


def check_host():
    """0 if a guest boots here. About one nested host in forty lets none boot, ever: EXIT_HOST. One boot that fails
    and one that does not is a defect of the engine: 1."""
    if boots():
        return 0
    print("suite: the first guest did not boot; once more", file=sys.stderr, flush=True)
    if boots(show_kvm):
        print("suite: the second did: the engine is at fault", file=sys.stderr, flush=True)
        return 1
    print("suite: no guest boots in this host", file=sys.stderr, flush=True)
    return EXIT_HOST


def host_is_lost():
    """After a failure: whether most guests do not boot here (any more). One of three that does not is the engine's fault."""
    if boots(show_kvm):
        return False
    hung = 1 + sum(not boots(show_kvm) for _ in range(2))
    print(f"suite: {hung} of three guests do not boot", file=sys.stderr, flush=True)
    return hung > 1


def run_file(path, names, seconds):
    """Runs one file, in a process group of its own. Gives (succeeded, tests run, tests skipped)."""
    text = ""
    with subprocess.Popen([sys.executable, path, *names], stdin=subprocess.DEVNULL, stdout=sys.stderr,
                          stderr=subprocess.PIPE, start_new_session=True, encoding="utf-8", errors="replace") as process:
        watchdog = threading.Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.start()
        for line in process.stderr:
            text += line
            sys.stderr.write(line)
            sys.stderr.flush()
        process.wait()
        watchdog.cancel()
    ran = re.search(r"^Ran (\d+) test", text, re.MULTILINE)
    skipped = re.search(r"skipped=(\d+)", text)
    return process.returncode == 0, int(ran[1]) if ran else 0, int(skipped[1]) if skipped else 0


def main():
    """Gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("kvm", "software"), help="sets PYRO_ENGINE")
    parser.add_argument("--timeout", metavar="S", type=float, default=900, help="for one file (default: 900 s)")
    parser.add_argument("--only", metavar="TEST", action="append", default=[], help="tests to run instead of all")
    parser.add_argument("--check-host", action="store_true", help="first see whether a guest boots at all")
    parser.add_argument("files", metavar="FILE", nargs="+")
    options = parser.parse_args()
    if options.engine:
        os.environ["PYRO_ENGINE"] = options.engine
    if options.check_host and (code := check_host()) != 0:
        return code
    failed, total, not_skipped = [], 0, 0
    for path in options.files:
        name = os.path.basename(path)
        print(f"==== {name}", file=sys.stderr, flush=True)
        start = time.monotonic()
        succeeded, ran, skipped = run_file(path, options.only, options.timeout)
        total += ran
        not_skipped += ran - skipped
        if not succeeded:
            failed.append(name)
        print(f"==== {name}: {'ok' if succeeded else 'FAILED'}, {ran} tests, {skipped} skipped,"
              f" {time.monotonic() - start:.1f} s", flush=True)
    print(f"{len(options.files)} files, {total} tests, {total - not_skipped} skipped;"
          f" failed: {' '.join(failed) or 'none'}", flush=True)
    if failed and options.check_host and host_is_lost():
        print("suite: so the failures say nothing", file=sys.stderr, flush=True)
        return EXIT_HOST
    if not not_skipped:
        print("everything was skipped", flush=True)
    return 1 if failed or not not_skipped else 0


if __name__ == "__main__":
    sys.exit(main())
