#!/usr/bin/env python3
"""Runs a command in a microVM: once in one call, then piece by piece.

    PYTHONPATH=bindings/python python3 examples/python_run.py [ENVIRONMENT]
"""
from __future__ import annotations

import sys

import libpyro


def main() -> int:
    environment = sys.argv[1] if len(sys.argv) > 1 else "debian:12"
    with libpyro.Pyro() as pyro:
        # One command, one VM, gone afterwards.
        result = pyro.run_in_vm(environment, ["sh", "-c", "echo hello from $(uname -s); exit 3"])
        print(f"exit code {result.exit_code} on the {result.engine} engine: {result.stdout_text}", end="")

        # The same while it runs: input goes in, output comes out as it is printed.
        script = "while read -r line; do echo got $line; done"
        with pyro.start_run_in_vm(environment, script, stdin=libpyro.STREAM) as operation:
            for event in operation:
                if isinstance(event, libpyro.Progress):
                    print(f"[{event.stage}] {event.message}", file=sys.stderr)
                elif isinstance(event, libpyro.Started):
                    operation.write_stdin("one\ntwo\n")
                    operation.close_stdin()
                elif isinstance(event, libpyro.Stdout):
                    print(event.data.decode(), end="")
                elif isinstance(event, libpyro.Exit):
                    print(f"it took {event.result.duration_ms} ms")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except libpyro.PyroError as error:
        print(f"python_run: {error}", file=sys.stderr)
        if error.console:
            print(error.console, file=sys.stderr)
        sys.exit(125)
