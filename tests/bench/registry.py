#!/usr/bin/env python3
"""What calls about tasks cost with very many of them: 10,000 tasks with a million commands in their journals.

The tasks have run and stopped: none needs a VM. Prints a table, or JSON with --json; exits 1 if a bar is missed.
"""
import argparse
import json
import os
import shutil
import struct
import sys
import tempfile
import time

from figures import Figures

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bindings/python"))
import libpyro  # noqa: E402 pylint: disable=wrong-import-position

TAG = 0x5EED5EED5EED5EED
HEADER = b"PYROJRNL" + struct.pack("<IIQQ", 1, 0, TAG, 0)
NOW_NS = time.time_ns()
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
# A call that looks at rows, not at folders.
BAR_MS = 2.0


def crc32c(data):
    """As src/state/crc32c.hpp has it, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def text(value):
    """A string in a record."""
    return struct.pack("<I", len(value)) + value.encode()


def texts(values):
    """A list of strings."""
    return struct.pack("<I", len(values)) + b"".join(text(value) for value in values)


def frame(kind, payload):
    """One frame of a journal (src/state/journal.hpp)."""
    covered = struct.pack("<IB", len(payload), kind) + payload
    out = struct.pack("<QIIQ", TAG, len(payload), crc32c(covered), kind) + payload
    return out + bytes(-len(out) % 8)


def journal(commands):
    """The commands file of a task that ran so many and was stopped."""
    parts = [HEADER, frame(1, struct.pack("<q", NOW_NS) + text("bench") + struct.pack("<I", 2))]
    for number in range(1, commands + 1):
        parts.append(frame(3, struct.pack("<Qq", number, NOW_NS) + texts(["/bin/sh", "-c", "make test"]) + b"\0" + text("/workspace")
                           + text("root") + texts([]) + b"\0"))
        parts.append(frame(4, struct.pack("<QqiiBBi", number, NOW_NS, 0, 0, 0, 0, 0) + text("") + struct.pack("<5Q", 5, 5, 1 << 20, 0, 0)))
    parts.append(frame(2, struct.pack("<qi", NOW_NS, 0) + text("a client stopped it")))
    return b"".join(parts)


def task_id(number):
    """Of the numberth."""
    out = ""
    for _ in range(12):
        number, digit = divmod(number, 32)
        out += LETTERS[digit]
    return out


def fill(home, tasks, commands):
    """Makes the folders of so many stopped tasks, each with so many commands."""
    with libpyro.Pyro(home=home) as pyro:
        made = pyro.create_vm("debian:12-base", labels={"agent": "0"}).id
    with open(os.path.join(home, "vms", made, "record.json"), encoding="ascii") as file:
        record = json.load(file)
    shutil.rmtree(os.path.join(home, "vms", made))
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot_id = file.read().strip()
    run = {"format": 1, "boot_id": boot_id, "engine": 2, "started_ns": NOW_NS, "pid": 0, "pid_start": 0, "ready": True, "found_ended_ns": 0}
    shared = {"run.json": json.dumps(run).encode(), "commands": journal(commands), "output": HEADER, "lock": b""}
    for name, content in shared.items():
        with open(os.path.join(home, name), "wb") as file:
            file.write(content)
    for number in range(tasks):
        folder = os.path.join(home, "vms", task_id(number))
        os.mkdir(folder, 0o700)
        for name in shared:
            if name == "lock":
                open(os.path.join(folder, name), "wb").close()  # pylint: disable=consider-using-with
            else:
                os.link(os.path.join(home, name), os.path.join(folder, name))
        record.update({"id": task_id(number), "kind": "task", "digest": "sha256:" + "0" * 64, "labels": [{"name": "agent", "value": str(number)}]})
        with open(os.path.join(folder, "record.json"), "w", encoding="ascii") as file:
            json.dump(record, file, separators=(",", ":"))


def timed(action):
    """(Milliseconds, what it gave)."""
    start = time.perf_counter()
    given = action()
    return (time.perf_counter() - start) * 1000, given


def measure(figures, home, tasks, commands, calls=500):
    """Adds the figures."""
    def add(name, action, bar=BAR_MS, count=calls):
        times = sorted(timed(lambda number=number: action(number))[0] for number in range(count))
        for share in (0.5, 0.99):
            figures.add(f"registry: {name}, p{share * 100:.0f}", times[min(count - 1, int(count * share))], "ms", bar)

    with libpyro.Pyro(home=home) as pyro:
        spent, rebuilt = timed(pyro.rebuild_registry)
        assert len(rebuilt) == tasks
        figures.add(f"registry: rebuild of {tasks} tasks, {tasks * commands} commands", spent / 1000, "s")
        found = pyro.list_tasks(labels={"agent": str(tasks - 1)})
        assert [one.command_count for one in found] == [commands]
        add("list by label", lambda number: pyro.list_tasks(labels={"agent": str(number * 19 % tasks)}))
        add("list by state, none", lambda _: pyro.list_tasks(states=["running"]))
        add("status", lambda number: pyro.status_task(task_id(number * 19 % tasks)))
        add("logs of a task, 10 newest", lambda number: pyro.logs_task(task_id(number * 19 % tasks), command_limit=10))
        made = []
        # Its record goes to the disk: fsync().
        add("create a VM", lambda _: made.append(pyro.create_vm("debian:12-base", labels={"of": "bench"})), bar=None)
        add("list by label after a creation", lambda _: pyro.list_vms(labels={"of": "none"}), count=20)
        add("delete a VM", lambda _: pyro.delete_vm(made.pop().id))
        add("nothing to reap", lambda _: pyro.reap_expired(), count=50)
        add("list all", lambda _: pyro.list_tasks(), bar=None, count=5)
    with libpyro.Pyro(home=home) as pyro:
        figures.add("registry: first list by label of a process", timed(lambda: pyro.list_tasks(labels={"agent": "5"}))[0], "ms")
        os.mkdir(os.path.join(home, "vms", "a" * 11 + "7"))
        figures.add("registry: list after a change behind its back", timed(lambda: pyro.list_tasks(labels={"agent": "5"}))[0], "ms")
    size = sum(os.path.getsize(os.path.join(home, name)) for name in os.listdir(home) if name.startswith("registry.db"))
    figures.add("registry: its files", size / 1024 / 1024, "MiB")


def main():
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--commands", type=int, default=100, help="of each task")
    options = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="pyro-bench-") as home:
        fill(home, options.tasks, options.commands)
        measure(figures, home, options.tasks, options.commands)
    figures.show(options.json)
    return figures.exit_code()


if __name__ == "__main__":
    sys.exit(main())
