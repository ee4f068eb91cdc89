#!/usr/bin/env python3
"""Compares what libpyro exports with the checked-in list.

    symbols.py LIST LIBRARY...            fails if a library exports more, or less, than the list
    symbols.py --update LIST LIBRARY      writes the list

A symbol that was released stays for good; docs/abi-stability.md has the rules.
"""
import subprocess
import sys
from pathlib import Path


def exported(library):
    """Names that a shared or static library defines for others."""
    dynamic = ["-D"] if ".so" in Path(library).name else []
    text = subprocess.run(["nm", *dynamic, "--defined-only", "--extern-only", library],
                          check=True, capture_output=True, text=True).stdout
    fields = (line.split() for line in text.splitlines())
    # Type A is the name of a symbol version itself.
    return {line[2].split("@")[0] for line in fields if len(line) == 3 and line[1] != "A"}


def main():
    if sys.argv[1] == "--update":
        path, library = Path(sys.argv[2]), sys.argv[3]
        path.write_text("".join(f"{name}\n" for name in sorted(exported(library))))
        return 0
    expected = set(Path(sys.argv[1]).read_text().split())
    status = 0
    for library in sys.argv[2:]:
        found = exported(library)
        for name in sorted(found - expected):
            print(f"{library}: exports {name}, which the list does not have")
            status = 1
        for name in sorted(expected - found):
            print(f"{library}: does not export {name}")
            status = 1
        print(f"{library}: {len(found)} symbols")
    return status


if __name__ == "__main__":
    sys.exit(main())
