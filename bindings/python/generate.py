#!/usr/bin/env python3
"""Writes libpyro/_bindings.py from capi/pyro.h.

    generate.py            write the file
    generate.py --check    write nothing; exit with 1 if the file does not match the header

The parser knows exactly the C that pyro.h is written in. Whatever it does not recognise is an error,
so that nothing of the header can be left out without being noticed. The output depends on the
header's text alone.
"""
from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Tuple, Union

HERE = Path(__file__).resolve().parent
HEADER = HERE.parent.parent / "capi" / "pyro.h"
OUTPUT = HERE / "libpyro" / "_bindings.py"
LINE_WIDTH = 120

# C type -> (ctypes type, annotation).
SCALARS: Dict[str, Tuple[str, str]] = {
    "int": ("ctypes.c_int", "int"),
    "int32_t": ("ctypes.c_int32", "int"),
    "uint32_t": ("ctypes.c_uint32", "int"),
    "int64_t": ("ctypes.c_int64", "int"),
    "uint64_t": ("ctypes.c_uint64", "int"),
    "size_t": ("ctypes.c_size_t", "int"),
    "double": ("ctypes.c_double", "float"),
}

PREAMBLE = '''\
"""The C ABI of libpyro for ctypes. Generated from capi/pyro.h by generate.py: do not edit."""
from __future__ import annotations

import ctypes
from enum import IntEnum
from typing import Any, Callable, Dict, List, Optional, Tuple

_P = ctypes.POINTER
'''


class HeaderError(Exception):
    """The header has something that this parser does not know."""


@dataclass
class Constant:
    name: str
    value: Union[int, float, str]


@dataclass
class Enum:
    name: str
    doc: str
    members: List[Tuple[str, int, str]] = field(default_factory=list)


@dataclass
class Struct:
    """A struct; opaque if it has no fields."""

    name: str
    doc: str
    fields: List[Tuple[str, str, str]] = field(default_factory=list)


@dataclass
class Function:
    name: str
    doc: str
    result: str
    arguments: List[Tuple[str, str]]


Item = Union[Constant, Enum, Struct, Function]

TOKENS = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<doc>/\*\*(?P<doc_text>.*?)\*/)
  | (?P<comment>/\*.*?\*/)
  | (?P<directive>\#(?:[^\n\\]|\\\n|\\.)*)
  | (?P<extern>extern\s+"C"\s*\{ | \}(?=\s*(?:\#|$)))
  | typedef\s+enum\s+(?P<enum>\w+)\s*\{(?P<enum_body>.*?)\}\s*(?P=enum)\s*;
  | typedef\s+struct\s+(?P<struct>\w+)\s*\{(?P<struct_body>[^}]*)\}\s*(?P=struct)\s*;
  | typedef\s+struct\s+(?P<opaque>\w+)\s+(?P=opaque)\s*;
  | PYRO_API\s+(?P<result>[\w\s*]+?)(?P<function>pyro_\w+)\((?P<arguments>[^()]*)\)\s*PYRO_NOEXCEPT\s*;
    """,
    re.VERBOSE | re.DOTALL,
)
CONSTANT = re.compile(r'#define\s+(PYRO_\w+)\s+\(?(-?\d+\.\d+|-?\d+|"[^"\\]*")\)?\s*$')
MEMBER = re.compile(r"\s*(?:/\*\*(.*?)\*/)?\s*(\w+)\s*=\s*(0x[0-9a-fA-F]+|-?\d+)\s*(?:,|$)", re.DOTALL)
FIELD = re.compile(r"\s*(?:/\*\*(.*?)\*/)?\s*([\w\s*]+?)(\w+)\s*;", re.DOTALL)


def brief(comment: Optional[str]) -> str:
    """First sentence of a doc comment, on one line."""
    if not comment:
        return ""
    text = " ".join(re.sub(r"^\s*\*", "", line) for line in comment.splitlines())
    text = " ".join(text.split())
    end = re.search(r"[.:](?=\s+[A-Z])", text)
    return (text[: end.start()] if end else text).rstrip(".") + "."


def spell(declaration: str) -> str:
    """One spelling per C type: "const char *const *" -> "char**"."""
    return re.sub(r"\s+", "", re.sub(r"\bconst\b", "", declaration))


def parse_list(pattern: re.Pattern[str], body: str, where: str) -> List[Tuple[str, ...]]:
    found = []
    position = 0
    while body[position:].strip():
        match = pattern.match(body, position)
        if not match:
            raise HeaderError(f"{where}: cannot read {body[position:].strip().splitlines()[0]!r}")
        found.append(match.groups())
        position = match.end()
    return found


def parse(text: str) -> List[Item]:
    items: List[Item] = []
    position = 0
    doc = ""
    while position < len(text):
        match = TOKENS.match(text, position)
        if not match:
            line = text.count("\n", 0, position) + 1
            raise HeaderError(f"line {line}: cannot read {text[position:].splitlines()[0]!r}")
        position = match.end()
        group = match.groupdict()
        if group["space"]:
            continue
        if group["doc"]:
            doc = brief(group["doc_text"])
            continue
        if group["directive"]:
            constant = CONSTANT.match(group["directive"])
            if constant:
                items.append(Constant(constant.group(1), literal(constant.group(2))))
        elif group["enum"]:
            members = parse_list(MEMBER, group["enum_body"], group["enum"])
            items.append(Enum(group["enum"], doc, [(name, int(value, 0), brief(d)) for d, name, value in members]))
        elif group["struct"]:
            fields = parse_list(FIELD, group["struct_body"], group["struct"])
            items.append(Struct(group["struct"], doc, [(name, spell(kind), brief(d)) for d, kind, name in fields]))
        elif group["opaque"]:
            items.append(Struct(group["opaque"], doc))
        elif group["function"]:
            items.append(Function(group["function"], doc, spell(group["result"]), parse_arguments(group["arguments"])))
        doc = ""
    return items


def literal(text: str) -> Union[int, float, str]:
    if text.startswith('"'):
        return text[1:-1]
    return float(text) if "." in text else int(text)


def parse_arguments(text: str) -> List[Tuple[str, str]]:
    if text.strip() == "void":
        return []
    arguments = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([\w\s*]+?)(\w+)\s*", part)
        if not match:
            raise HeaderError(f"cannot read the argument {part.strip()!r}")
        arguments.append((match.group(2), spell(match.group(1))))
    return arguments


class Types:
    """C types as ctypes, for the enums and structs that a header defines."""

    def __init__(self, items: List[Item]) -> None:
        self.enums = {item.name for item in items if isinstance(item, Enum)}
        self.structs = {item.name for item in items if isinstance(item, Struct)}

    def ctypes(self, kind: str) -> str:
        if kind == "void":
            return "None"
        if kind in SCALARS:
            return SCALARS[kind][0]
        if kind in self.enums:
            return "ctypes.c_int32"
        if kind in ("void*", "char*"):
            return "ctypes.c_void_p" if kind == "void*" else "ctypes.c_char_p"
        base, stars = kind.rstrip("*"), len(kind) - len(kind.rstrip("*"))
        if stars and base in ("char", "void"):
            inner, stars = self.ctypes(base + "*"), stars - 1
        elif stars and base in SCALARS:
            inner = SCALARS[base][0]
        elif base in self.structs:
            inner = base
        else:
            raise HeaderError(f"unknown type {kind!r}")
        for _ in range(stars):
            inner = f"_P({inner})"
        return inner

    def annotation(self, kind: str) -> str:
        if kind == "void":
            return "None"
        if kind in SCALARS:
            return SCALARS[kind][1]
        if kind in self.enums:
            return "int"
        return {"char*": "Optional[bytes]", "void*": "Optional[int]"}.get(kind, "Any")


def python_name(c_name: str) -> str:
    """pyro_log_level -> LogLevel."""
    return "".join(word.capitalize() for word in c_name.split("_")[1:])


def comment(text: str, indent: str) -> List[str]:
    return [f"{indent}#: {line}" for line in textwrap.wrap(text, LINE_WIDTH - len(indent) - 3)]


def docstring(text: str) -> List[str]:
    return ['    """' + "\n    ".join(textwrap.wrap(text, LINE_WIDTH - 10)) + '"""'] if text else []


def emit_enum(enum: Enum) -> List[str]:
    members = [member for member in enum.members if not member[0].endswith("FORCE_32BIT")]
    common = os.path.commonprefix([name for name, _, _ in members])
    prefix = len(common[: common.rfind("_") + 1])
    lines = ["", "", f"class {python_name(enum.name)}(IntEnum):"] + docstring(enum.doc or f"{enum.name}.") + [""]
    for name, value, doc in members:
        lines += comment(doc, "    ") if doc else []
        lines.append(f"    {name[prefix:]} = {value}")
    return lines


def emit_struct(struct: Struct, types: Types) -> List[str]:
    lines = ["", "", f"class {struct.name}(ctypes.Structure):"] + docstring(struct.doc or f"{struct.name}.")
    if not struct.fields:
        return lines
    rows = []
    for index, (name, kind, doc) in enumerate(struct.fields):
        following = struct.fields[index + 1][:2] if index + 1 < len(struct.fields) else None
        # "char *x_data; size_t x_size": bytes that may hold NUL, not a C string.
        if kind == "char*" and name.endswith("_data") and following == (name[:-5] + "_size", "size_t"):
            kind = "void*"
        lines += [""] if index == 0 else []
        lines += comment(doc, "    ") if doc else []
        lines.append(f"    {name}: {types.annotation(kind)}")
        rows.append(f'        ("{name}", {types.ctypes(kind)}),')
    return lines + ["", "    _fields_ = ["] + rows + ["    ]"]


def emit_functions(functions: List[Function], types: Types) -> List[str]:
    table = ["", "", "#: Function -> (type of the result, types of the arguments). _P(T) is T *.",
             "PROTOTYPES: Dict[str, Tuple[Any, List[Any]]] = {"]
    body = ["", "", "class Functions:", '    """The functions of a loaded libpyro, with their types set."""', ""]
    for function in functions:
        kinds = [types.ctypes(kind) for _, kind in function.arguments]
        row = f'    "{function.name}": ({types.ctypes(function.result)}, [{", ".join(kinds)}]),'
        if len(row) > LINE_WIDTH:
            row = f'    "{function.name}": (\n        {types.ctypes(function.result)},\n'
            row += f'        [{", ".join(kinds)}],\n    ),'
        table.append(row)
        annotations = []
        for _, kind in function.arguments:
            annotations.append(types.annotation(kind) if kind in SCALARS or kind in types.enums else "Any")
        body += comment(function.doc, "    ") if function.doc else []
        body.append(f"    {function.name}: Callable[[{', '.join(annotations)}], {types.annotation(function.result)}]")
    return table + ["}"] + body + [
        "", "    def __init__(self, library: ctypes.CDLL) -> None:",
        "        for name, (result, arguments) in PROTOTYPES.items():",
        "            function = getattr(library, name)",
        "            function.restype = result",
        "            function.argtypes = arguments",
        "            setattr(self, name, function)",
    ]


def generate(text: str) -> str:
    items = parse(text)
    types = Types(items)
    lines = [PREAMBLE]
    lines += [f"{item.name} = {repr(item.value)}".replace("'", '"') for item in items if isinstance(item, Constant)]
    for item in items:
        if isinstance(item, Enum):
            lines += emit_enum(item)
        elif isinstance(item, Struct):
            lines += emit_struct(item, types)
    lines += emit_functions([item for item in items if isinstance(item, Function)], types)
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Writes libpyro/_bindings.py from capi/pyro.h.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the file is stale")
    parser.add_argument("--header", type=Path, default=HEADER)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    try:
        wanted = generate(arguments.header.read_text(encoding="utf-8"))
    except (OSError, HeaderError) as error:
        print(f"{arguments.header}: {error}", file=sys.stderr)
        return 2
    if not arguments.check:
        arguments.output.write_text(wanted, encoding="utf-8")
        return 0
    if arguments.output.exists() and arguments.output.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{arguments.output} does not match {arguments.header}: run {Path(__file__).name}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
