"""The snippets in the documentation and the example, run."""
from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

from support import PACKAGE, FakeTestCase

ROOT = PACKAGE.parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class DocumentationTest(FakeTestCase):
    def run_blocks(self, page: Path) -> str:
        blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
        self.assertTrue(blocks, page)
        printed = io.StringIO()
        for block in blocks:
            with self.subTest(block), contextlib.redirect_stdout(printed):
                exec(compile(block, str(page), "exec"), {"__name__": "__main__"})
        return printed.getvalue()

    def test_page(self) -> None:
        printed = self.run_blocks(ROOT / "docs" / "python.md")
        self.assertIn("SHOUT\n\nexit code 0\n", printed)
        self.assertIn("['0\\n', '1\\n', '2\\n', '3\\n']", printed)

    def test_readme(self) -> None:
        self.assertEqual(self.run_blocks(PACKAGE / "README.md"), "0 42\n\n")

    def test_example(self) -> None:
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples" / "python_run.py"), "fake"],
            env={**os.environ, "PYTHONPATH": str(PACKAGE)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=30,
        )
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"exit code 3 on the software engine: hello from Linux\ngot one\ngot two\n", done.stdout)
