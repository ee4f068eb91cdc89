#!/usr/bin/env python3
"""Checks who includes whom against the table of rooms in docs/architecture.md.

    layering.py [ROOT]        prints every violation; exit status 1 if there is one
    layering.py --self-test   checks that this program notices violations
"""
import re
import sys
import tempfile
import unittest
from pathlib import Path

# Which rooms a room may include. A new edge is a design decision: change docs/architecture.md with it.
ROOMS = {
    "base": set(),
    "wire": {"base"},
    "tree": {"base"},
    "state": {"base"},
    "jail": {"base"},
    "memory": {"base"},
    "devices": {"base", "memory", "state"},
    "vmm": {"base", "memory", "devices", "state"},
    "machine": {"base", "jail", "memory", "devices", "state", "vmm"},
    "supervisor": {"base", "wire", "state", "jail", "machine"},
    "guest": {"base", "wire", "tree"},
    "image": {"base", "state"},
    "registry": {"base"},
    "client": {"base", "wire", "state", "jail", "tree", "registry"},
    "cli": set(),
}
# Single headers beyond the table, with the reason.
EXTRA = {
    ("supervisor", "vmm/probe.hpp"): "pyro-vm --probe",
    ("vmm", "jail/kvm_requests.hpp"): "the filters' KVM request numbers, checked against <linux/kvm.h>",
}
# Rooms that are written on the public API alone.
ON_PUBLIC_API = {"cli"}
# Other people's headers that belong to one place: pattern of the header, where it may be included.
RESERVED = [
    (r"(linux|asm)/kvm\w*\.h", ("src/vmm/",), "KVM is used by room vmm only"),
    (r"(archive|archive_entry)\.h|openssl/.*|lz4\w*\.h", ("src/image/",), "heavy libraries belong to pyro-image"),
    (r"CLI/.*", ("src/cli/",), "CLI11 belongs to the pyro program"),
    (r"seccomp\.h", ("src/jail/",), "seccomp filters are made in room jail"),
    (r"sqlite3\w*\.h", ("src/registry/",), "SQLite belongs to room registry"),
    (r"boost/json/src\.hpp", ("src/state/json.cpp",), "Boost.JSON is compiled once, in state/json.cpp"),
    (r"pyro/(pyro|asio)\.hpp", ("src/cli/", "include/", "examples/", "tests/"), "the library is not written on its own C++ API"),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
ROOM_TARGET = re.compile(r"pyro_room\(\s*(\w+)([^)]*)\)", re.S)


def includes(path):
    """(line number, '<' or '"', spelling) of every include in a file."""
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def check_room_include(room, spelling):
    """Why a file of `room` may not include "spelling", or None."""
    other, slash, _ = spelling.partition("/")
    if not slash or other not in ROOMS:
        return f'"{spelling}" is not spelt "<room>/file.hpp"'
    if other == room or other in ROOMS[room] or (room, spelling) in EXTRA:
        return None
    if room in ON_PUBLIC_API:
        return f'room {room} is written on <pyro/...> only, not on "{spelling}"'
    return f'room {room} may not include room {other} ("{spelling}")'


def check_file(root, path):
    relative = path.relative_to(root).as_posix()
    parts = relative.split("/")
    for number, kind, spelling in includes(path):
        where = f"{relative}:{number}: "
        if ".." in spelling.split("/"):
            yield where + f'"{spelling}" goes up with ../'
            continue
        for pattern, places, reason in RESERVED:
            in_tests = relative.startswith("tests/") and any(p.startswith("src/") and
                                                             parts[2:3] == p.split("/")[1:2] for p in places)
            if re.fullmatch(pattern, spelling) and not relative.startswith(places) and not in_tests:
                yield where + f"<{spelling}>: {reason}"
        if kind == '"' and parts[0] == "src":
            problem = check_room_include(parts[1], spelling)
            if problem:
                yield where + problem
        elif kind == '"' and parts[:2] == ["tests", "unit"] and len(parts) > 3 and "/" in spelling:
            problem = check_room_include(parts[2], spelling)
            if problem:
                yield where + problem
        elif kind == '"' and parts[0] in ("include", "capi"):
            yield where + f'public headers include <pyro/...>, not "{spelling}"'
        elif kind == "<" and parts[0] == "include" and spelling.startswith("boost/") and path.name != "asio.hpp":
            yield where + f"only pyro/asio.hpp needs Boost, not <{spelling}>"


def check_links(root, listfile):
    """The same table, for target_link_libraries: pyro_room(<room> ... ROOMS <room>...)."""
    text = re.sub(r"#.*", "", listfile.read_text())
    for match in ROOM_TARGET.finditer(text):
        room, rest = match.group(1), match.group(2).split()
        linked = []
        if "ROOMS" in rest:
            for word in rest[rest.index("ROOMS") + 1:]:
                if word.isupper():
                    break
                linked.append(word)
        allowed = ROOMS.get(room, set()) | {header.split("/")[0] for owner, header in EXTRA if owner == room}
        for other in sorted(set(linked) - allowed):
            yield f"{listfile.relative_to(root).as_posix()}: room {room} may not link room {other}"


def check_table():
    def reach(room, seen):
        for other in ROOMS[room]:
            if other in seen:
                yield f"the table has a cycle through {other}"
            else:
                yield from reach(other, seen | {other})

    for room in ROOMS:
        yield from reach(room, {room})


def check_docs(page):
    """The table that people read is the table that is checked."""
    rows = re.findall(r"^\| \[(\w+)\]\([^)]*\) \|[^|]*\|([^|;]*)(?:;[^|]*)?\|$", page.read_text(), re.M)
    documented = {room: set(allowed.split()) for room, allowed in rows}
    documented.update({room: set() for room in ON_PUBLIC_API if room in documented})
    for room in sorted(set(ROOMS) | set(documented)):
        if ROOMS.get(room) != documented.get(room):
            yield f"{page.name}: the row of room {room} is not what tests/layering.py has"


def check(root):
    """All violations below `root`, as lines of text."""
    yield from check_table()
    if (root / "docs/architecture.md").exists():
        yield from check_docs(root / "docs/architecture.md")
    for folder in sorted((root / "src").iterdir()):
        if folder.is_dir() and folder.name not in ROOMS:
            yield f"src/{folder.name}: a room that the table does not know"
    for top in ("src", "include", "capi", "tests", "examples"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in (".h", ".hpp", ".c", ".cpp"):
                yield from check_file(root, path)
    for listfile in sorted((root / "src").rglob("CMakeLists.txt")):
        yield from check_links(root, listfile)


class SelfTest(unittest.TestCase):
    def violations(self, path, text):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "src").mkdir()
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
            return list(check(root))

    def assert_caught(self, path, text, words):
        found = self.violations(path, text)
        self.assertEqual(len(found), 1, found)
        self.assertIn(words, found[0])

    def test_allowed(self):
        for path, text in [("src/wire/a.cpp", '#include "base/fd.hpp"\n#include "wire/frame.hpp"\n#include <pyro/pyro.h>\n'),
                           ("src/supervisor/probe.cpp", '#include "vmm/probe.hpp"\n'),
                           ("src/vmm/a.cpp", "#include <linux/kvm.h>\n"),
                           ("tests/unit/vmm/a_test.cpp", '#include <linux/kvm.h>\n#include "fake.hpp"\n'),
                           ("src/cli/a.cpp", "#include <pyro/pyro.hpp>\n#include <CLI/CLI.hpp>\n"),
                           ("docs/architecture.md", "".join(f"| [{room}](x.md) | y | {' '.join(uses)} |\n"
                                                            for room, uses in ROOMS.items())),
                           ("src/wire/CMakeLists.txt", "pyro_room(wire SOURCES a.cpp ROOMS base LIBRARIES x)")]:
            with self.subTest(path):
                self.assertEqual(self.violations(path, text), [])

    def test_caught(self):
        self.assert_caught("src/wire/a.cpp", '#include "jail/spawn.hpp"\n', "may not include room jail")
        self.assert_caught("src/base/a.cpp", '#include "wire/frame.hpp"\n', "may not include room wire")
        self.assert_caught("src/wire/a.cpp", '#include "../base/fd.hpp"\n', "../")
        self.assert_caught("src/wire/a.cpp", '#include "frame.hpp"\n', "not spelt")
        self.assert_caught("src/supervisor/a.cpp", '#include "vmm/probe_guest.hpp"\n', "may not include room vmm")
        self.assert_caught("src/machine/a.cpp", "#include <linux/kvm.h>\n", "KVM")
        self.assert_caught("src/client/a.cpp", "#include <archive.h>\n", "heavy")
        self.assert_caught("src/cli/a.cpp", '#include "base/fd.hpp"\n', "written on <pyro/...>")
        self.assert_caught("src/client/a.cpp", "#include <pyro/pyro.hpp>\n", "own C++ API")
        self.assert_caught("src/image/a.cpp", "#include <boost/json/src.hpp>\n", "compiled once")
        self.assert_caught("include/pyro/pyro.hpp", '#include "pyro.h"\n', "public headers")
        self.assert_caught("include/pyro/pyro.hpp", "#include <boost/asio.hpp>\n", "needs Boost")
        self.assert_caught("tests/unit/wire/a_test.cpp", '#include "jail/spawn.hpp"\n', "may not include room jail")
        self.assert_caught("src/wire/CMakeLists.txt", "pyro_room(wire SOURCES a.cpp ROOMS base jail)", "may not link")
        self.assert_caught("src/attic/a.cpp", "", "does not know")
        self.assert_caught("docs/architecture.md", "".join(f"| [{room}](x.md) | y | {' '.join(uses)} |\n"
                                                           for room, uses in ROOMS.items() if room != "wire"), "room wire")


def main():
    if sys.argv[1:] == ["--self-test"]:
        unittest.main(argv=sys.argv[:1])
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = list(check(root))
    for line in found:
        print(line)
    print(f"{len(found)} layering violation(s)" if found else "layering: as in the table")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
