#!/usr/bin/env python3
"""What copying a tree into a task and out of it costs, beside `tar | tar` over the same channel."""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from figures import Figures

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1024 * 1024
# At least half of what tar does: the time may be twice as long.
BAR = 2.0


def make_tree(root, mib, files):
    """A tree of `files` files in directories of 100, with `mib` MiB of what does not compress."""
    block = random.Random(1).randbytes(mib * MIB // files)
    for number in range(files):
        folder = os.path.join(root, f"{number // 1000}", f"{number // 100}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"file{number}"), "wb") as file:
            file.write(block)


def seconds(*commands, timeout=900):
    """Of a pipe of one or two commands."""
    start = time.monotonic()
    first = subprocess.Popen(commands[0], stdin=subprocess.DEVNULL,  # pylint: disable=consider-using-with
                             stdout=subprocess.PIPE if len(commands) > 1 else subprocess.DEVNULL)
    processes = [first]
    if len(commands) > 1:
        # pylint: disable-next=consider-using-with
        processes.append(subprocess.Popen(commands[1], stdin=first.stdout, stdout=subprocess.DEVNULL))
        first.stdout.close()
    for process in processes:
        if process.wait(timeout) != 0:
            raise SystemExit(f"bench: {process.args}: exit code {process.returncode}")
    return time.monotonic() - start


def measure(figures, pyro, environment, mib=1024, files=10_000):
    """Adds the figures."""
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "source")
        make_tree(source, mib, files)
        task = subprocess.run([pyro, "task", "create", "-q", "--disk", "4G", "--ttl", "900", environment], check=True,
                              stdout=subprocess.PIPE).stdout.decode().strip()
        in_task = [pyro, "task", "exec", "--timeout", "none", "-i", task, "--"]
        try:
            def fresh(path):
                subprocess.run([*in_task, "sh", "-c", f"rm -rf {path}; mkdir -p {path}"], stdin=subprocess.DEVNULL, check=True)

            def empty(name):
                path = os.path.join(folder, name)
                shutil.rmtree(path, ignore_errors=True)
                os.mkdir(path)
                return path
            fresh("/workspace/tar")
            up_tar = seconds(["tar", "c", "-C", source, "."], [*in_task, "tar", "x", "-C", "/workspace/tar"])
            fresh("/workspace/tar")
            fresh("/workspace/tree")
            up = seconds([pyro, "task", "cp", "-q", source, f"{task}:/workspace/tree"])
            down = seconds([pyro, "task", "cp", "-q", f"{task}:/workspace/tree", empty("copy")])
            empty("copy")
            down_tar = seconds([*in_task, "tar", "c", "-C", "/workspace/tree", "."], ["tar", "x", "-C", empty("tar")])
            for name, ours, theirs in (("up", up, up_tar), ("down", down, down_tar)):
                figures.add(f"files: {mib} MiB in {files} files {name}", mib / ours, "MiB/s")
                figures.add(f"files: the same {name} by tar | tar", mib / theirs, "MiB/s")
                figures.add(f"files: time {name}", ours / theirs, "x", BAR, "tar | tar")
        finally:
            subprocess.run([pyro, "task", "delete", task], check=True)


def main():
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--mib", type=int, default=1024, help="size of the tree (default: 1024)")
    parser.add_argument("--files", type=int, default=10_000, help="files in it (default: 10000)")
    parser.add_argument("--environment", default="debian:12", help="of the task (default: debian:12)")
    parser.add_argument("--pyro", default=os.path.abspath(os.path.join(HERE, "../../build/bin/pyro")), help="the program")
    options = parser.parse_args()
    figures = Figures()
    measure(figures, options.pyro, options.environment, options.mib, options.files)
    figures.show(options.json)
    return figures.exit_code()


if __name__ == "__main__":
    sys.exit(main())
