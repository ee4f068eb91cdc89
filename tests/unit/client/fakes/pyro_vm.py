#!/usr/bin/python3 -SE
"""A supervisor without a VM: speaks docs/wire-protocol.md and does what argv[0] of the command names."""
import json
import os
import socket
import struct
import sys

HELLO, READY, FAILED, PROGRESS, CONFIGURE = 1, 3, 4, 17, 16
EXEC, STARTED, DATA, CREDIT, SIGNAL, RESIZE, EXIT, DISPATCHED = 32, 33, 34, 35, 36, 37, 39, 40
IN, OUT, ERR, END = 0, 1, 2, 0x80
WINDOW = 256 * 1024
CHUNK = 32 * 1024 - 12

if sys.argv[1:] == ["--probe"]:
    state = open(os.path.join(os.path.dirname(sys.argv[0]), "probe_state")).read().strip()
    if state == "hang":
        import time
        time.sleep(30)
    count = os.path.join(os.path.dirname(sys.argv[0]), "probe_count")
    with open(count, "a") as file:
        file.write("x")
    print(json.dumps({"kvm": state, "detail": "the fake says " + state}))
    sys.exit(0)

link = socket.socket(fileno=0)
received = bytearray()
credit = {OUT: WINDOW, ERR: WINDOW}


def send(kind, payload=b"", stream=0, flags=0):
    link.sendall(struct.pack("<IIBBH", len(payload), stream, kind, flags, 0) + payload)


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(data)) + data


def frame():
    while True:
        if len(received) >= 12:
            size, stream, kind, flags, _ = struct.unpack("<IIBBH", received[:12])
            if len(received) >= 12 + size:
                payload = bytes(received[12:12 + size])
                del received[:12 + size]
                return kind, stream, flags, payload
        data = link.recv(65536)
        if not data:
            sys.exit(0)
        received.extend(data)


def texts(payload, at):
    count, = struct.unpack_from("<I", payload, at)
    at += 4
    out = []
    for _ in range(count):
        size, = struct.unpack_from("<I", payload, at)
        out.append(payload[at + 4:at + 4 + size])
        at += 4 + size
    return out, at


def say(channel, data, end=False):
    send(DATA, data, 1, channel | (END if end else 0))


def write(channel, data):
    """Sends under credit; what else comes meanwhile is returned."""
    other = []
    while data:
        while credit[channel] == 0:
            got = frame()
            if got[0] == CREDIT:
                credit[got[2] & 3] += struct.unpack("<I", got[3])[0]
            else:
                other.append(got)
        part = data[:min(CHUNK, credit[channel])]
        say(channel, part)
        credit[channel] -= len(part)
        data = data[len(part):]
    return other


def finish(code, signal=0, failure=0, message="", timed_out=0, status=0):
    say(OUT, b"", True)
    say(ERR, b"", True)
    send(EXIT, struct.pack("<iiBi", code, signal, failure, status) + text(message) + struct.pack("<BBQQQ", 0, timed_out, 7, 5, 4096), 1)
    link.recv(1)  # until the client is gone
    sys.exit(0)


data, fds, _, _ = socket.recv_fds(link, 65536, 16)
received.extend(data)
kind, _, _, configure = frame()
assert kind == CONFIGURE
at = 2 + 1 + 12 + 24
vm_id_size, = struct.unpack_from("<I", configure, at)
vm_id = configure[at + 4:at + 4 + vm_id_size]
at += 4 + vm_id_size
build_id_size, = struct.unpack_from("<I", configure, at)
build_id = configure[at + 4:at + 4 + build_id_size]
kind, _, _, payload = frame()
assert kind == EXEC
argv, at = texts(payload, 0)
env, at = texts(payload, at)
what = argv[0].decode()

if what == "foreign":
    build_id = b"0.0.0-foreign"
if what == "mute":
    sys.exit(3)
send(HELLO, struct.pack("<HH", 1, 1) + text(build_id) + struct.pack("<I", os.getpid()))
if what == "die-before":
    os.kill(os.getpid(), 9)
if what == "boot-failed":
    send(FAILED, struct.pack("<i", 700) + text("the guest did not start") + text("Kernel panic - not syncing\n"))
    sys.exit(0)
if what == "garbage":
    link.sendall(b"\xff" * 64)
    link.recv(1)
send(PROGRESS, text("boot") + text("starting the guest"))
send(READY, struct.pack("<Q", 5))
send(DISPATCHED, struct.pack("<Q", 0), 1)
if what == "die-after":
    sys.exit(4)
if what == "die-held":
    # As if a child that the host forked at a bad time had our end of the socket.
    if os.fork() != 0:
        os._exit(4)
    while link.recv(65536):
        pass
    os._exit(0)
send(STARTED, b"", 1)

if what == "echo":
    write(OUT, b" ".join(argv[1:]))
    write(ERR, b"to stderr")
    finish(0)
elif what == "exit":
    finish(int(argv[1]))
elif what == "timeout":
    finish(124, timed_out=1)
elif what == "spam":
    write(OUT, b"x" * int(argv[1]))
    finish(0)
elif what == "overrun":
    for _ in range(WINDOW // CHUNK + 2):
        say(OUT, b"x" * CHUNK)
    link.recv(1)
elif what == "overgrant":
    send(CREDIT, struct.pack("<I", WINDOW), 1, IN)
    link.recv(1)
elif what == "not-found":
    finish(127, failure=127, message="no-such-program: not found")
elif what == "bad-user":
    finish(125, failure=125, message="there is no user nobody2", status=100)
elif what == "no-room":
    finish(125, failure=125, message="cannot start a process: Resource temporarily unavailable", status=500)
elif what == "sleep":
    write(OUT, str(os.getpid()).encode())
    while True:
        frame()
elif what == "cat":
    total = 0
    pending = []
    while True:
        kind, _, flags, payload = pending.pop(0) if pending else frame()
        if kind == CREDIT:
            credit[flags & 3] += struct.unpack("<I", payload)[0]
        if kind == DATA:
            pending += write(OUT, payload)
            total += len(payload)
            if payload:
                send(CREDIT, struct.pack("<I", len(payload)), 1, IN)
            if flags & END:
                finish(0)
elif what == "discard":
    while True:
        kind, _, flags, payload = frame()
        if kind == DATA and payload:
            send(CREDIT, struct.pack("<I", len(payload)), 1, IN)
        if kind == DATA and flags & END:
            finish(0)
elif what == "control":
    while True:
        kind, _, _, payload = frame()
        if kind == RESIZE:
            write(OUT, b"%dx%d" % struct.unpack("<HH", payload))
        if kind == SIGNAL:
            number, = struct.unpack("<i", payload)
            finish(128 + number, number)
elif what == "self":
    write(OUT, json.dumps({
        "argv": sys.argv[1:], "environ": dict(os.environ), "cwd": os.getcwd(),
        "session_leader": os.getsid(0) == os.getpid(), "vm_id": vm_id.decode(),
        "open": sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)),
        "files": [os.readlink("/proc/self/fd/%d" % fd) for fd in fds], "passed": fds,
        "env": [item.decode() for item in env], "args": [item.decode() for item in argv],
        "blocked": [line.split()[1] for line in open("/proc/self/status") if line.startswith("SigBlk")][0],
    }).encode())
    finish(0)
