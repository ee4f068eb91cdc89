#!/usr/bin/env python3
"""Builds and runs programs that use libpyro the way other projects do.

    consume.py install BUILD PREFIX              installs into PREFIX, by way of another folder
    consume.py pkg-config PREFIX WORK            C99 and C++ through pkg-config, shared and static
    consume.py find-package PREFIX WORK          C and C++ through find_package(pyro)
    consume.py fetch-content SOURCE WORK         C and C++ through FetchContent / add_subdirectory
"""
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]


def run(*command, **options):
    print("$", shlex.join(str(word) for word in command), flush=True)
    return subprocess.run(command, check=True, **options)


def run_program(program, library_dir=None, libexec=None):
    """Runs a consumer. The shared library finds its helper programs by itself, beside it; a program with
    the static one is somewhere else and must be told."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYRO_LIBEXEC", "LD_"))}
    if library_dir:
        env["LD_LIBRARY_PATH"] = str(library_dir)
    if libexec:
        env["PYRO_LIBEXEC"] = str(libexec)
    run(program, env=env)


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def install(build, prefix):
    """What was installed must work from anywhere: it is moved before anything uses it."""
    first = fresh(prefix.with_name(prefix.name + "-elsewhere"))
    shutil.rmtree(prefix, ignore_errors=True)
    run("cmake", "--install", build, "--prefix", first, "--strip", stdout=subprocess.DEVNULL)
    first.rename(prefix)


def pkg_config(prefix, work):
    config = next(prefix.rglob("pyro.pc"))
    env = dict(os.environ, PKG_CONFIG_PATH=str(config.parent))

    def flags(*arguments):
        return shlex.split(subprocess.run(["pkg-config", *arguments, "pyro"], check=True, env=env,
                                          capture_output=True, text=True).stdout)

    library_dir = flags("--variable=libdir")[0]
    c99 = [os.environ.get("CC", "cc"), "-std=c99", *WARNINGS]
    cpp = [os.environ.get("CXX", "c++"), "-std=c++20", *WARNINGS]
    for name, compiler, source, libraries in [
            ("shared_c", c99, "main.c", flags("--libs")),
            ("shared_cpp", cpp, "main.cpp", flags("--libs")),
            ("static_c", c99, "main.c", flags("--variable=static_libs")),
            ("static_cpp", cpp, "main.cpp", flags("--variable=static_libs"))]:
        run(*compiler, *flags("--cflags"), HERE / source, "-o", work / name, *libraries)
        if name.startswith("shared"):
            run_program(work / name, library_dir=library_dir)
        else:
            run_program(work / name, libexec=prefix / "libexec/pyro")
    run(*c99, "-static", *flags("--cflags"), HERE / "main.c", "-o", work / "all_static",
        *flags("--static", "--libs"), stderr=subprocess.DEVNULL)


def cmake_project(name, work, programs, *options, libexec=None):
    run("cmake", "-G", "Ninja", "-S", HERE / name, "-B", work, "-DCMAKE_BUILD_TYPE=Debug", *options)
    run("cmake", "--build", work, "--target", *programs, stdout=subprocess.DEVNULL)
    for program in programs:
        run_program(work / program, libexec=libexec if program.startswith("static") else None)


def main():
    action, source, work = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    if action == "install":
        install(source, work)
    elif action == "pkg-config":
        pkg_config(source, fresh(work))
    elif action == "find-package":
        cmake_project("find_package", fresh(work), ["shared_cpp", "shared_c", "static_cpp", "static_c"],
                      f"-DCMAKE_PREFIX_PATH={source}", libexec=source / "libexec/pyro")
    elif action == "fetch-content":
        cmake_project("fetch_content", work, ["shared_cpp", "static_cpp"], f"-DPYRO_SOURCE={source}",
                      "-DCMAKE_UNITY_BUILD=ON")  # as a project may that adds libpyro; and faster
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
