"""Files of a task on a real VM: runs if PYRO_TEST_VM names an environment, such as "debian:12-base"."""
from __future__ import annotations

import io
import os
import tarfile
import tempfile
import unittest

import libpyro
from libpyro import Stdout

ENVIRONMENT = os.environ.get("PYRO_TEST_VM", "")


@unittest.skipUnless(ENVIRONMENT, "PYRO_TEST_VM does not name an environment")
class FileTest(unittest.TestCase):
    pyro: libpyro.Pyro
    task: str
    folder: "tempfile.TemporaryDirectory[str]"

    @classmethod
    def setUpClass(cls) -> None:
        cls.pyro = libpyro.Pyro()
        cls.folder = tempfile.TemporaryDirectory()
        seed = os.path.join(cls.folder.name, "seed")
        os.mkdir(seed)
        with open(os.path.join(seed, "given"), "w", encoding="ascii") as file:
            file.write("from the host\n")
        cls.task = cls.pyro.create_task(ENVIRONMENT, mem_mib=256, max_lifetime_seconds=240, seed=seed).id

    @classmethod
    def tearDownClass(cls) -> None:
        cls.pyro.delete_task(cls.task)
        cls.pyro.close()
        cls.folder.cleanup()

    def local(self, name: str) -> str:
        return os.path.join(self.folder.name, name)

    def test_written_read_listed_and_removed(self) -> None:
        data = os.urandom(300_000) + b"\0"
        self.pyro.write_file(self.task, "one/two", data, mode=0o640, parents=True)
        content = self.pyro.read_file(self.task, "one/two")
        self.assertEqual((content.data, content.truncated, content.file_size_bytes), (data, False, len(data)))
        part = self.pyro.read_file(self.task, "one/two", offset=10, max_bytes=5)
        self.assertEqual((part.data, part.truncated), (data[10:15], True))
        info = self.pyro.stat_file(self.task, "one/two")
        self.assertEqual((info.path, info.type, info.mode, info.size_bytes), ("one/two", "file", 0o640, len(data)))
        self.pyro.make_dir(self.task, "one/dir")
        listed = self.pyro.list_files(self.task, "one")
        self.assertEqual([(one.path, one.type) for one in listed], [("dir", "directory"), ("two", "file")])
        self.assertTrue(self.pyro.list_files(self.task, "one", max_entries=1).truncated)
        with self.assertRaises(libpyro.StateError):
            self.pyro.remove_file(self.task, "one")
        self.pyro.remove_file(self.task, "one", recursive=True)
        with self.assertRaises(libpyro.NotFoundError) as caught:
            self.pyro.stat_file(self.task, "one")
        self.assertIn('"one"', caught.exception.message)

    def test_names_that_are_no_text_come_back(self) -> None:
        name = os.fsdecode(b"bin/\xff\xfe")
        self.pyro.write_file(self.task, name, "x", parents=True)
        (found,) = self.pyro.list_files(self.task, "bin")
        self.assertEqual(found.path_bytes, b"\xff\xfe")
        self.assertEqual(self.pyro.read_file(self.task, b"bin/" + found.path_bytes).text, "x")
        self.pyro.remove_file(self.task, "bin", recursive=True)

    def test_wrong_arguments(self) -> None:
        for call in (
            lambda: self.pyro.read_file(self.task, ""),
            lambda: self.pyro.read_file(self.task, "a\0b"),
            lambda: self.pyro.write_file(self.task, "a", b"", mode=0o1000),
            lambda: self.pyro.list_files(self.task, max_entries=0),
            lambda: self.pyro.list_files(self.task, max_entries=2_000_000),
            lambda: self.pyro.upload(self.task, self.local("seed"), "a", max_path_bytes=5000),
        ):
            with self.assertRaises(libpyro.InvalidError):
                call()
        self.pyro.write_file(self.task, "there", "")
        with self.assertRaises(libpyro.ExistsError):
            self.pyro.write_file(self.task, "there", "", exclusive=True)
        self.pyro.remove_file(self.task, "there")

    def test_streams(self) -> None:
        with self.pyro.start_write_file(self.task, "streamed") as operation:
            for _ in range(20):
                operation.write_stdin(b"x" * 50_000)
            operation.close_stdin()
            operation.wait()
        with self.pyro.start_read_file(self.task, "streamed") as operation:
            pieces = [event.data for event in operation if isinstance(event, Stdout)]
        self.assertEqual(b"".join(pieces), b"x" * 1_000_000)
        with self.pyro.start_write_file(self.task, "streamed") as operation:
            operation.write_stdin(b"never complete")
        self.assertEqual(self.pyro.stat_file(self.task, "streamed").size_bytes, 1_000_000)
        self.pyro.remove_file(self.task, "streamed")

    def test_trees_and_differences(self) -> None:
        source = self.local("source")
        os.makedirs(os.path.join(source, "dir"))
        with open(os.path.join(source, "dir", "f"), "w", encoding="ascii") as file:
            file.write("content")
        sent = self.pyro.upload(self.task, source, "tree")
        self.assertEqual((sent.entry_count, sent.byte_count, sent.skipped_count), (3, 7, 0))
        self.pyro.download(self.task, "tree", self.local("copy"))
        with open(self.local("copy/dir/f"), encoding="ascii") as file:
            self.assertEqual(file.read(), "content")
        changes = {one.path: one.change for one in self.pyro.diff_task(self.task)}
        self.assertEqual(changes, {"tree": "added", "tree/dir": "added", "tree/dir/f": "added"})
        self.pyro.export_task(self.task, self.local("all.tar"))
        with tarfile.open(self.local("all.tar")) as archive:
            self.assertIn("given", archive.getnames())
        with self.pyro.start_download(self.task, "tree") as operation:
            stream = b"".join(event.data for event in operation if isinstance(event, Stdout))
        self.assertEqual(tarfile.open(fileobj=io.BytesIO(stream)).getnames(), [".", "dir", "dir/f"])
        with self.pyro.start_upload(self.task, "again") as upload:
            upload.write_stdin(stream)
            upload.close_stdin()
            self.assertEqual(upload.wait().entry_count, 3)
        with self.assertRaises(libpyro.LimitError):
            self.pyro.download(self.task, "tree", self.local("small"), max_entries=2)
        for name in ("tree", "again"):
            self.pyro.remove_file(self.task, name, recursive=True)


if __name__ == "__main__":
    unittest.main()
