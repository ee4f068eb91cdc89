#!/usr/bin/python3 -SE
"""An image program without images: what it does is in the request's name."""
import json
import os
import sys
import time

request = json.loads(sys.stdin.buffer.readline())
home, name, op = request["home"], request.get("name", ""), request["op"]
with open(home + "/requests", "a") as file:
    file.write(op + " " + name + "\n")


def say(**event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def fail(code, message):
    say(event="error", code=code, message=message)
    sys.exit(1)


ROW = {"name": "debian:12", "description": "a description", "available": True, "digest": "sha256:00",
       "kernel_version": "6.1", "size_bytes": 123456789012, "created_at": 1700000000}

say(event="progress", stage="start", message="working on " + name, done=1, total=2)
if name == "dies":
    sys.stderr.write("first line\nthe reason\n")
    sys.exit(3)
if name == "dies-held":
    # As if a child that the host forked at a bad time had our ends of the pipes.
    if os.fork() != 0:
        os._exit(3)
    sys.stdin.buffer.read()
    os._exit(0)
if name == "closes-output":
    os.close(1)
    time.sleep(0.4)
    os._exit(3)
if name == "talks-nonsense":
    print("nonsense", flush=True)
if name == "waits":
    sys.stdin.buffer.read()
    open(home + "/stopped", "w").close()
    sys.exit(1)
if op == "list":
    say(event="done", environments=[ROW, {"name": "debian:12-base", "description": "", "available": False}])
elif op == "prune":
    say(event="done", freed_bytes=4096)
elif op == "scratch":
    os.makedirs(home + "/environments/scratch", exist_ok=True)
    open(home + "/environments/scratch/ext4-v1-%d.img" % request["mib"], "w").close()
    open(home + "/scratch-pid", "w").write(str(os.getpid()))
    say(event="done", environments=[])
    while os.path.exists(home + "/linger"):
        time.sleep(0.01)
elif op in ("build", "verify"):
    # What the test laid ready becomes visible, as after a build or a full check.
    ready = home + "/ready-" + op
    if not os.path.exists(ready):
        fail("not_found" if op == "build" else "environment", "there is no environment " + name + "; known: a, b")
    if os.path.exists(home + "/prune-once"):
        # As if a prune came right after the answer.
        os.unlink(home + "/prune-once")
        say(event="done", environments=[ROW])
        sys.exit(0)
    for line in open(ready):
        source, target = line.split()
        os.rename(home + "/" + source, home + "/" + target)
    say(event="done", environments=[ROW])
else:
    say(event="done", environments=[dict(ROW, manifest={"packages": []})])
