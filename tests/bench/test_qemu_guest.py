"""The yardstick of the kvm engine, the same guest under QEMU, boots and runs a command: it speaks the protocol of today."""
import tempfile
import unittest

from kvm import Bench
from qemu_guest import run


class QemuGuestTest(unittest.TestCase):
    """One boot."""

    def test_a_command_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            output = run(["sh", "-c", "cd /workspace && pwd"], *Bench(None).files(folder))
        self.assertEqual(output, b"/workspace\n")


if __name__ == "__main__":
    unittest.main()
