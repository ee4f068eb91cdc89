"""A guest under `qemu-system-x86_64 -M microvm -accel kvm`: the yardstick of the kvm engine.

The same kernel, initramfs, agent, root image and kind of disks as libpyro's own; this file plays the supervisor, as
far as measuring needs it (docs/wire-protocol.md).
"""
import os
import select
import socket
import struct
import subprocess
import sys
import time

HELLO, PERSONALISE, READY, FAILED, EXEC, STARTED, DATA, CREDIT, EXIT = 1, 2, 3, 4, 32, 33, 34, 35, 39
DEADLINE_S = 120


def text(value):
    """A text of a message."""
    encoded = value.encode()
    return struct.pack("<I", len(encoded)) + encoded


def texts(values):
    """A list of texts."""
    return struct.pack("<I", len(values)) + b"".join(text(value) for value in values)


class GuestLost(Exception):
    """The guest ended, or does not answer."""


def with_retries(action):
    """What `action` gives. Nested KVM loses a guest now and then: those do not count."""
    for _ in range(8):
        try:
            return action()
        except GuestLost as error:
            print(f"bench: {error}; tried again", file=sys.stderr)
    raise SystemExit("bench: QEMU's guest never gets there")


def boot(*arguments, **more):
    """A QemuGuest."""
    return with_retries(lambda: QemuGuest(*arguments, **more))


def run(argv, *arguments, **more):
    """What a command prints in a guest of its own."""
    def action():
        with QemuGuest(*arguments, **more) as guest:
            return guest.run(*argv)
    return with_retries(action)


class QemuGuest:
    """Boots in the constructor; `ready_s` is the time from QEMU's start to the agent's "ready"."""

    def __init__(self, kernel, initrd, root, scratch, command_line, vcpus=1, mem_mib=1024):
        ours, theirs = socket.socketpair()
        self.port = ours
        self.buffer = b""
        self.stream = 0
        # Every guest begins with a disk of its own; making it is not measured.
        private = scratch + ".private"
        self.console = scratch + ".console"
        subprocess.run(["cp", "--sparse=always", scratch, private], check=True)
        start = time.monotonic()
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-M", "microvm,acpi=on,pcie=off,pic=off,pit=off,rtc=on,isa-serial=on",
             "-accel", "kvm", "-cpu", "host", "-smp", str(vcpus), "-m", f"{mem_mib}M", "-nodefaults", "-no-user-config",
             "-display", "none", "-no-reboot", "-serial", f"file:{self.console}", "-kernel", kernel, "-initrd", initrd,
             "-append", command_line,
             "-drive", f"id=root,file={root},format=raw,if=none,readonly=on",
             "-device", "virtio-blk-device,drive=root,serial=root",
             "-drive", f"id=scratch,file={private},format=raw,if=none,cache=unsafe",
             "-device", "virtio-blk-device,drive=scratch,serial=scratch",
             "-device", "virtio-serial-device", "-chardev", f"socket,id=agent,fd={theirs.fileno()}",
             "-device", "virtserialport,chardev=agent,name=pyro.agent"],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        theirs.close()
        try:
            self.expect(HELLO)
            self.send(PERSONALISE, 0, struct.pack("<H", 1) + os.urandom(32) + struct.pack("<Q", time.time_ns()) +
                      text("bench") + text(os.urandom(16).hex()) + b"\0")
            self.expect(READY)
        except BaseException:
            self.close()
            raise
        self.ready_s = time.monotonic() - start

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()
        self.port.close()

    def send(self, kind, stream, payload, flags=0):
        """Sends one frame."""
        self.port.sendall(struct.pack("<IIBBH", len(payload), stream, kind, flags, 0) + payload)

    def receive(self):
        """The next frame as (type, stream, flags, payload)."""
        end = time.monotonic() + DEADLINE_S
        while True:
            if len(self.buffer) >= 12:
                length, stream, kind, flags, _ = struct.unpack("<IIBBH", self.buffer[:12])
                if len(self.buffer) >= 12 + length:
                    payload = self.buffer[12:12 + length]
                    self.buffer = self.buffer[12 + length:]
                    return kind, stream, flags, payload
            if not select.select([self.port], [], [], max(0, end - time.monotonic()))[0]:
                raise GuestLost("the guest under QEMU does not answer")
            data = self.port.recv(1 << 20)
            if not data:
                with open(self.console, encoding="utf-8", errors="replace") as file:
                    words = file.read()[-400:].strip()
                raise GuestLost(f"the guest under QEMU ended, exit code {self.process.poll()}, console: {words!r}")
            self.buffer += data

    def expect(self, wanted):
        """Waits for a frame of this type."""
        while True:
            kind, _, _, payload = self.receive()
            if kind == wanted:
                return payload
            if kind == FAILED:
                raise SystemExit(f"bench: the guest under QEMU failed: {payload!r}")

    def run(self, *argv):
        """Runs a command to its end and gives its output; the exit code must be 0."""
        self.stream += 1
        self.send(EXEC, self.stream, texts(argv) + texts([]) + text("/workspace") + text("root") +
                  struct.pack("<BHHQ", 0, 24, 80, 0) + text(""))
        self.send(DATA, self.stream, b"", 0x80)  # nothing on stdin
        output = b""
        while True:
            kind, stream, flags, payload = self.receive()
            if stream != self.stream:
                continue
            if kind == DATA:
                output += payload
                if payload:
                    self.send(CREDIT, self.stream, struct.pack("<I", len(payload)), flags & 3)
            elif kind == EXIT:
                if struct.unpack("<i", payload[:4])[0] != 0:
                    raise SystemExit(f"bench: {argv}: {payload!r} {output!r}")
                return output
