#!/usr/bin/env python3
"""Compiles, and for README.md runs, the code blocks of the documentation.

    snippets.py compile SOURCE INCLUDE BOOST    every cpp, c and python block in README.md and docs; and whether
                                                links between pages lead somewhere
    snippets.py run SOURCE INCLUDE BOOST        the blocks of README.md that are whole programs, in VMs

A block that is only a part of a program is marked ```cpp fragment (or c, python, sh) and left alone.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)


def blocks(path):
    """(language, code, line number) of the blocks of a page that are whole."""
    text = path.read_text()
    for match in BLOCK.finditer(text):
        language, mark, code = match.groups()
        if "fragment" not in mark:
            yield language, code, text.count("\n", 0, match.start()) + 1


def dead_links(page):
    """(target, line number) of relative links to files that do not exist."""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", line):
            if "://" not in target and not (page.parent / target).exists():
                yield target, number


class Snippets:
    def __init__(self, source, include, boost):
        self.source = Path(source)
        self.flags = ["-Wall", "-Wextra", "-I", self.source / "include", "-I", include, "-idirafter", boost]
        self.library_dir = Path(os.environ.get("PYRO_LIBRARY", "")).parent
        self.bin_dir = Path(os.environ.get("PYRO_BIN", "")).parent

    def compiler(self, language):
        return {"cpp": ["c++", "-std=c++20", "-x", "c++"], "c": ["cc", "-std=c99", "-x", "c"]}[language]

    def compile(self, language, code):
        if language in ("cpp", "c"):
            subprocess.run([*self.compiler(language), *self.flags, "-Werror", "-fsyntax-only", "-"],
                           input=code, text=True, check=True)
        elif language == "python":
            compile(code, "<block>", "exec")
        else:
            return False
        return True

    def run(self, language, code):
        env = dict(os.environ, LD_LIBRARY_PATH=str(self.library_dir),
                   PATH=f"{self.bin_dir}:{os.environ['PATH']}")
        with tempfile.TemporaryDirectory() as folder:
            if language in ("cpp", "c"):
                subprocess.run([*self.compiler(language), *self.flags, "-o", f"{folder}/program", "-",
                                f"-L{self.library_dir}", "-lpyro"], input=code, text=True, check=True)
                command = [f"{folder}/program"]
            elif language == "python":
                command = [sys.executable, "-c", code]
            elif language == "console":
                # Lines "$ command"; the others are what it prints.
                lines = [line[2:] for line in code.splitlines() if line.startswith("$ pyro")]
                command = ["sh", "-e", "-c", "\n".join(lines)]
            else:
                return False
            done = subprocess.run(command, env=env, cwd=folder, stdin=subprocess.DEVNULL, timeout=120, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"exit status {done.returncode}")
        return True


def main():
    action, source, include, boost = sys.argv[1:5]
    snippets = Snippets(source, include, boost)
    pages = [Path(source, "README.md")]
    if action == "compile":
        pages += sorted(Path(source, "docs").rglob("*.md"))
    failed = count = 0
    for page in pages:
        for target, line in dead_links(page):
            failed += 1
            print(f"{page.relative_to(source)}:{line}: no such file: {target}", flush=True)
        for language, code, line in blocks(page):
            where = f"{page.relative_to(source)}:{line} ({language})"
            try:
                if getattr(snippets, action)(language, code):
                    count += 1
                    print(f"{where}: ok", flush=True)
            except (subprocess.SubprocessError, RuntimeError, SyntaxError) as error:
                failed += 1
                print(f"{where}: {error}", flush=True)
    print(f"{count} code blocks")
    return 1 if failed or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
