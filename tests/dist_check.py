#!/usr/bin/env python3
"""dist_check.py PREFIX SOURCE: what was installed is complete, tells nothing of where it was built, and works there.

PREFIX was moved after the installation. PYRO_HOME is an ordinary home with environments.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

EXPECTED = """
bin/pyro
include/pyro/asio.hpp
include/pyro/file_types.hpp
include/pyro/operation.hpp
include/pyro/pyro.h
include/pyro/pyro.hpp
include/pyro/task_types.hpp
include/pyro/types.hpp
lib/cmake/pyro/pyro-config-version.cmake
lib/cmake/pyro/pyro-config.cmake
lib/libpyro.a
lib/libpyro.so
lib/libpyro.so.0
lib/libpyro.so.VERSION
lib/pkgconfig/pyro.pc
libexec/pyro/pyro-agent
libexec/pyro/pyro-image
libexec/pyro/pyro-vm
""".split()


def main():
    prefix, source = Path(sys.argv[1]), sys.argv[2]
    env = {"PATH": "/usr/bin:/bin", "PYRO_HOME": os.environ["PYRO_HOME"]}

    def pyro(*arguments):
        done = subprocess.run([prefix / "bin/pyro", *arguments], env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120)
        print("$ pyro", *arguments, "->", done.returncode, done.stdout.strip()[:200], done.stderr.strip()[:500])
        return done

    version = pyro("--version").stdout.split()[-1]
    found = sorted(str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir())
    expected = sorted(name.replace("VERSION", version) for name in EXPECTED)
    assert found == expected, f"installed: {found}"
    for name in found:
        assert source.encode() not in (prefix / name).read_bytes(), f"{name} has the source tree's path in it"

    checks = {check["name"]: check for check in json.loads(pyro("doctor", "--json").stdout)["checks"]}
    assert str(prefix) in checks["helpers"]["message"], "doctor does not find the helpers of this prefix"
    done = pyro("run", "debian:12-base", "--", "echo", "installed and moved")
    assert (done.returncode, done.stdout) == (0, "installed and moved\n")


if __name__ == "__main__":
    main()
