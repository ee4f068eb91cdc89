"""What tasks cost: a task's start beside a one-shot's, a warm command beside what the guest itself needs for it."""
import concurrent.futures
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../bindings/python"))
import libpyro  # noqa: E402 pylint: disable=wrong-import-position

COMMANDS = 1000
TRIPS = 100
# Commands of the guest's own, in one shell: what fork, exec and exit of a program cost there.
LOOPS = 200
# Commands at once, each a program that computes.
AT_ONCE = 16
BUSY = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"


def timed(action):
    """(Milliseconds, what it gave)."""
    start = time.perf_counter()
    given = action()
    return (time.perf_counter() - start) * 1000, given


def quantile(times, share):
    """Of a list of numbers."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def rss_kib(task_id, home):
    """Memory of a task's supervisor without what it shares with files; it hides its descriptors, not this."""
    with open(os.path.join(home, "vms", task_id, "run.json"), encoding="utf-8") as file:
        pid = int(re.search(r'"pid":(\d+)', file.read())[1])
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read())[1])


def guest_kib(pyro, task_id):
    """Memory of the agent and of its kernel's tables, as far as it cannot be given back."""
    text = pyro.exec_task(task_id, "cat /proc/meminfo").stdout.decode()
    return sum(int(re.search(rf"{name}: +(\d+) kB", text)[1]) for name in ("AnonPages", "SUnreclaim", "Percpu"))


def start_one_shot(pyro, environment):
    """Milliseconds from the call to the start of a command in a new VM."""
    start = time.perf_counter()
    with pyro.start_run_in_vm(environment, ["true"]) as operation:
        for event in operation:
            if isinstance(event, libpyro.Started):
                spent = (time.perf_counter() - start) * 1000
    return spent


def registry(pyro, home):
    """(KiB of its file, milliseconds of a list)."""
    size = sum(os.path.getsize(os.path.join(home, name)) for name in ("registry.db", "registry.db-wal")
               if os.path.exists(os.path.join(home, name)))
    return size / 1024, statistics.median(timed(pyro.list_tasks)[0] for _ in range(50))


def at_once(pyro, environment, vcpus):
    """Seconds that AT_ONCE busy commands take together in a task of so many vCPUs."""
    task_id = pyro.create_task(environment, vcpu_count=vcpus).id
    try:
        pyro.exec_task(task_id, BUSY)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
            start = time.perf_counter()
            results = list(threads.map(lambda _: pyro.exec_task(task_id, BUSY, timeout_seconds=300), range(AT_ONCE)))
            spent = time.perf_counter() - start
        if any(result.exit_code != 0 for result in results):
            raise SystemExit("bench: a command of many failed")
        return spent
    finally:
        pyro.delete_task(task_id)


def measure(figures, environment, home, runs=5, commands=COMMANDS):
    """Adds the figures."""
    with libpyro.Pyro() as pyro:
        pyro.run_in_vm(environment, ["true"])
        times = {"one-shot": [], "create": []}
        for _ in range(runs):  # in turns, so that a slow minute hits both alike
            times["one-shot"].append(start_one_shot(pyro, environment))
            spent, task = timed(lambda: pyro.create_task(environment))
            times["create"].append(spent)
            pyro.delete_task(task.id)
        figures.add("task: create", statistics.median(times["create"]) / statistics.median(times["one-shot"]), "x", 1.1,
                    "a one-shot's start")
        task_id = pyro.create_task(environment, ttl_seconds=None).id
        try:
            own = pyro.exec_task(task_id, f"i=0; while [ $i -lt {LOOPS} ]; do /bin/true; i=$((i+1)); done",
                                 timeout_seconds=300).duration_ms / LOOPS
            before, guest_before = rss_kib(task_id, home), guest_kib(pyro, task_id)
            registry_before, list_before = registry(pyro, home)
            # By a C program, so that no interpreter is measured.
            program = os.path.join(os.environ.get("PYRO_TEST_BINARY_DIR", os.path.join(HERE, "../../build")), "bench/exec_times")
            lines = subprocess.run([program, task_id, str(TRIPS), str(commands)], stdout=subprocess.PIPE, check=True)
            spent = [float(line) for line in lines.stdout.split()]
            trip, spent = statistics.median(spent[:TRIPS]), spent[TRIPS:]
            figures.add("task: fork and exec in the guest + a round trip", own + trip, "ms")
            figures.add("task: warm exec true, p50", quantile(spent, 0.5), "ms")
            figures.add("task: warm exec true, p99", quantile(spent, 0.99), "ms")
            figures.add("task: warm exec true", quantile(spent, 0.5) / (own + trip), "x", 1.5, "fork, exec and a round trip")
            tenth = max(1, commands // 10)
            figures.add(f"task: p50 of the last tenth of {commands}",
                        quantile(spent[-tenth:], 0.5) / quantile(spent[:tenth], 0.5), "x", 1.2, "the first tenth")
            figures.add(f"task: supervisor's memory after {commands}", (rss_kib(task_id, home) - before) / 1024, "MiB", 0.5,
                        "more")
            figures.add(f"task: memory of agent and kernel after {commands}",
                        (guest_kib(pyro, task_id) - guest_before) / 1024, "MiB", 2, "more")
            registry_after, list_after = registry(pyro, home)
            figures.add(f"task: registry's file after {commands}", registry_after - registry_before, "KiB", 256, "more")
            figures.add(f"task: list after {commands}", list_after / list_before, "x", 2, "before them")
            figures.add("task: status", statistics.median(timed(lambda: pyro.status_task(task_id))[0] for _ in range(50)), "ms")
        finally:
            pyro.delete_task(task_id)
        cpus = min(os.cpu_count() or 1, 4)
        if cpus > 1:
            one, many = at_once(pyro, environment, 1), at_once(pyro, environment, cpus)
            figures.add(f"task: {AT_ONCE} commands at once on {cpus} vCPUs", many * cpus / one, "x", 1.3,
                        "a perfect share of the time on one")
