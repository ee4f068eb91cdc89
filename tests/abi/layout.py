#!/usr/bin/env python3
"""Compares the layout of every public struct and the value of every enumerator with the checked-in list.

    layout.py [--update] LIST PYRO_H CC

A line of the list changes only before the first release, or by growing a struct at its end;
docs/abi-stability.md has the rules.
"""
import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\} \1;", re.S)
ENUM = re.compile(r"typedef enum (\w+) \{(.*?)\} \1;", re.S)
FIELD = re.compile(r"(\w+)\s*(?:\[[^\]]*\])?\s*;")
ENUMERATOR = re.compile(r"^\s*(\w+)\s*=", re.M)


def program(header_text):
    """A C program that prints the layout of what the header declares."""
    text = re.sub(r"/\*.*?\*/", "", header_text, flags=re.S)
    out = ["#include <pyro/pyro.h>", "#include <stdio.h>", "int main(void) {"]
    for name, body in ENUM.findall(text):
        out.append(f'  printf("enum {name} size %zu\\n", sizeof({name}));')
        for item in ENUMERATOR.findall(body):
            out.append(f'  printf("  {item} = %ld\\n", (long){item});')
    for name, body in STRUCT.findall(text):
        out.append(f'  printf("struct {name} size %zu\\n", sizeof({name}));')
        for field in FIELD.findall(body):
            out.append(f'  printf("  {field} at %zu, %zu bytes\\n", offsetof({name}, {field}), '
                       f"sizeof((({name} *)0)->{field}));")
    return "\n".join(out + ["  return 0;", "}", ""])


def layout(header, compiler):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "pyro").mkdir()
        (root / "pyro" / "pyro.h").write_text(header.read_text())
        (root / "layout.c").write_text(program(header.read_text()))
        subprocess.run([compiler, "-std=c99", "-Wall", "-Werror", "-I", folder, "-o", root / "layout",
                        root / "layout.c"], check=True)
        return subprocess.run([root / "layout"], check=True, capture_output=True, text=True).stdout


def main():
    arguments = [a for a in sys.argv[1:] if a != "--update"]
    path, header, compiler = Path(arguments[0]), Path(arguments[1]), arguments[2]
    found = layout(header, compiler)
    if "--update" in sys.argv:
        path.write_text(found)
        return 0
    expected = path.read_text()
    sys.stdout.writelines(difflib.unified_diff(expected.splitlines(True), found.splitlines(True),
                                               str(path), str(header)))
    return 0 if found == expected else 1


if __name__ == "__main__":
    sys.exit(main())
