"""The generated bindings against the header that they are generated from."""
from __future__ import annotations

import ast
import ctypes
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import List, Tuple, Type, Union

import libpyro
from libpyro import _bindings
from support import HEADERS, PACKAGE, compile_c, scratch

GENERATOR = PACKAGE / "generate.py"


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(GENERATOR), *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, universal_newlines=True)


def structs() -> List[Type[ctypes.Structure]]:
    kinds = [kind for kind in vars(_bindings).values() if isinstance(kind, type) and issubclass(kind, ctypes.Structure)]
    return [kind for kind in kinds if getattr(kind, "_fields_", None)]


class GeneratorTest(unittest.TestCase):
    def test_the_file_in_the_tree_is_up_to_date(self) -> None:
        self.assertEqual(generate("--check").returncode, 0, "run bindings/python/generate.py")

    def test_a_changed_header_makes_the_file_stale(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            header = Path(folder) / "pyro.h"
            text = (HEADERS / "pyro.h").read_text().replace("PYRO_END = 2", "PYRO_END = 3")
            header.write_text(text)
            done = generate("--check", "--header", str(header))
        self.assertEqual(done.returncode, 1)
        self.assertIn("does not match", done.stderr)

    def test_what_the_parser_does_not_know_is_an_error(self) -> None:
        broken = (
            "typedef union pyro_x { int a; } pyro_x;",
            "PYRO_API float pyro_x(void) PYRO_NOEXCEPT;",
            "PYRO_API int pyro_x(int (*callback)(void)) PYRO_NOEXCEPT;",
            "typedef struct pyro_x { int a[4]; } pyro_x;",
            "typedef enum pyro_x { PYRO_A = 1 << 2 } pyro_x;",
        )
        for text in broken:
            with self.subTest(text), tempfile.TemporaryDirectory() as folder:
                header = Path(folder) / "pyro.h"
                header.write_text(text)
                self.assertEqual(generate("--header", str(header), "--output", folder + "/x.py").returncode, 2)

    def test_every_function_of_the_header_is_bound(self) -> None:
        declared = re.findall(r"^PYRO_API .*?(pyro_\w+)\(", (HEADERS / "pyro.h").read_text(), re.MULTILINE)
        self.assertEqual(sorted(declared), sorted(_bindings.PROTOTYPES))


class LayoutTest(unittest.TestCase):
    def test_structs_and_enums_have_the_layout_that_the_c_compiler_gives_them(self) -> None:
        lines = ['#include "pyro.h"', "#include <stddef.h>", "#include <stdio.h>", "int main(void) {"]
        expected: List[Tuple[str, Union[int, Tuple[int, int]]]] = []
        for kind in structs():
            lines.append(f'  printf("%zu\\n", sizeof({kind.__name__}));')
            expected.append((kind.__name__, ctypes.sizeof(kind)))
            for name, *_ in kind._fields_:
                member = f"(({kind.__name__} *)0)->{name}"
                lines.append(f'  printf("%zu %zu\\n", offsetof({kind.__name__}, {name}), sizeof({member}));')
                field = getattr(kind, name)
                expected.append((f"{kind.__name__}.{name}", (field.offset, field.size)))
        for enum in ("pyro_status", "pyro_engine", "pyro_event_kind"):
            lines.append(f'  printf("%zu\\n", sizeof({enum}));')
            expected.append((enum, ctypes.sizeof(ctypes.c_int32)))
        source = scratch() / "layout.c"
        source.write_text("\n".join(lines + ["  return 0;", "}"]))
        program = compile_c(source, scratch() / "layout", "-std=c99")
        printed = subprocess.run([str(program)], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()
        self.assertEqual(len(printed), len(expected))
        for line, (name, layout) in zip(printed, expected):
            numbers = tuple(int(word) for word in line.split())
            self.assertEqual(numbers if len(numbers) > 1 else numbers[0], layout, name)

    def test_enumerators_have_the_values_of_the_header(self) -> None:
        self.assertEqual(libpyro.Status.ERROR_OUTCOME_UNKNOWN, 801)
        self.assertEqual(_bindings.EventKind.DONE, 7)
        self.assertNotIn("FORCE_32BIT", "".join(libpyro.Status.__members__))


class PackageTest(unittest.TestCase):
    def test_version_is_the_same_everywhere(self) -> None:
        project = (PACKAGE / "pyproject.toml").read_text()
        self.assertIn(f'version = "{libpyro.__version__}"', project)

    def test_source_is_python_3_9(self) -> None:
        for path in (PACKAGE / "libpyro").glob("*.py"):
            ast.parse(path.read_text(), str(path), feature_version=(3, 9))

    def test_all_lists_what_exists(self) -> None:
        for name in libpyro.__all__:
            self.assertTrue(hasattr(libpyro, name), name)


if __name__ == "__main__":
    unittest.main()
