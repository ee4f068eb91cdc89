"""The outer host: a Linux inside QEMU whose emulated CPU has a working SVM, so that /dev/kvm is real there.

Nothing of it has a name: sockets are pairs, files are memfds, and its two processes die with this one.
"""
import ctypes
import os
import secrets
import selectors
import shlex
import signal
import socket
import subprocess
import tempfile
import time

from boot_files import cpio, regular

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
QEMU = "qemu-system-x86_64"
# With -cpu max the nested guest hangs: it shows what TCG's SVM cannot nest. Without tsc=reliable the
# outer kernel falls back to the HPET, and guests get no master clock.
CPU = "EPYC,+svm,+npt"
KERNEL_COMMAND_LINE = "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable"
# Read-only here, not only where it is mounted: a root there, or what has broken out of a guest, could mount again.
SERVE_FILES = """
mount -o remount,bind,ro / || exit
while read -r _ path _; do
  case $path in
    / | /proc/* | /sys/* | /dev/*) ;;
    *) mount -o remount,bind,ro "$path" 2>/dev/null ;;
  esac
done </proc/mounts
exec "$0" "$@"
"""
MAX_CONSOLE_BYTES = 1 << 20
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
PARENT = os.getpid()


# It speaks every 5 s. On a busy machine that takes longer; and before it is up, booting may.
SILENCE_S = 60


class OuterHostError(Exception):
    """The outer host did not do what it is for; the message says why."""


class Output:
    """One stream of the command: passes it on up to the end mark."""

    def __init__(self, end, target):
        self.end = end
        self.target = target
        self.held = b""
        self.ended = False

    def feed(self, data):
        """Passes data on; holds back what may be the beginning of the end mark."""
        data = self.held + data
        self.ended = data.endswith(self.end)
        longest = min(len(self.end), len(data))
        held = next((n for n in range(longest, 0, -1) if data.endswith(self.end[:n])), 0)
        self.held = b"" if self.ended else data[len(data) - held:]
        data = data[:len(data) - held]
        while data:
            data = data[os.write(self.target, data):]


class Input:
    """Standard input on its way to the command: read only when the last piece has been taken.

    Nothing is read before 'open' is set.
    """

    def __init__(self, port, first):
        self.port = port
        self.pending = first
        self.open = False
        port.setblocking(False)

    def watch(self, selector):
        """Registers what is being waited for."""
        for source, event, wanted, action in (
                (self.port, selectors.EVENT_WRITE, bool(self.pending), self.send),
                (0, selectors.EVENT_READ, self.open and not self.pending, self.read)):
            known = source in selector.get_map()
            if wanted and not known:
                selector.register(source, event, action)
            elif known and not wanted:
                selector.unregister(source)

    def read(self):
        """Takes what there is of our standard input."""
        try:
            self.pending = os.read(0, 65536)
        except OSError:
            self.pending = b""
        if not self.pending:
            self.open = False
            self.port.shutdown(socket.SHUT_WR)

    def send(self):
        """Passes on what fits."""
        try:
            self.pending = self.pending[self.port.send(self.pending):]
        except BlockingIOError:
            pass
        except OSError:
            self.pending, self.open = b"", False


def die_with_parent():
    """In a child before exec: SIGKILL when the parent's main thread ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != PARENT:
        os._exit(1)  # it ended before that


def memory_file(name, content):
    """A memfd as a path for a child that inherits it, and its descriptor."""
    fd = os.memfd_create(name, 0)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(content)
    return f"/proc/self/fd/{fd}", fd


class OuterHost:
    """Boots in the constructor; run() then follows the one command to its end. Use with 'with'."""

    def __init__(self, kernel, initramfs, settings, *, cpus, mem_mib, icount, tty):
        self.end = secrets.token_hex(16).encode()
        self.tty = tty
        self.icount = icount
        self.console = bytearray()
        self.errors = tempfile.TemporaryFile()
        self.processes = []
        self.ports = {}
        try:
            self.start(kernel, initramfs, settings, cpus, mem_mib, icount)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def spawn(self, command, fds):
        """Starts a process that ends with this one."""
        # pylint: disable=subprocess-popen-preexec-fn,consider-using-with
        self.processes.append(subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors, pass_fds=fds,
            start_new_session=True, preexec_fn=die_with_parent))

    def start_virtiofsd(self):
        """Gives QEMU's end of the connection to it."""
        with tempfile.TemporaryDirectory(prefix="kvm-host-") as temp, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.join(temp, "s"))
            listener.listen(1)
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(os.path.join(temp, "s"))
            self.spawn(["unshare", "--mount", "--propagation", "private", "sh", "-c", SERVE_FILES, VIRTIOFSD,
                        f"--fd={listener.fileno()}", "-o", "source=/", "-o", "cache=always", "-o", "sandbox=chroot",
                        "-o", "log_level=err"], [listener.fileno()])
        return connection

    def port(self, name, fds):
        """Adds a port of the host and gives the -chardev for it."""
        ours, theirs = socket.socketpair()
        self.ports[name] = ours
        fds.append(theirs.detach())
        return ["-chardev", f"socket,id={name},fd={fds[-1]}"]

    def start(self, kernel, initramfs, settings, cpus, mem_mib, icount):
        """Starts both processes."""
        settings = {"end": self.end.decode(), "tty": int(self.tty), **settings}
        command = settings.pop("command")
        text = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items())
        # The kernel unpacks archives that stand one behind the other.
        with open(initramfs, "rb") as file:
            archive = file.read() + cpio([regular("settings", text.encode()), regular("command", command)])
        path, archive_fd = memory_file("initramfs", archive)
        files = self.start_virtiofsd()
        fds = [archive_fd, files.fileno()]
        words = [QEMU, "-M", "q35", "-cpu", CPU, "-smp", str(cpus), "-m", f"{mem_mib}M", "-nodefaults", "-no-user-config",
                 "-display", "none", "-no-reboot",
                 "-object", f"memory-backend-memfd,id=ram,size={mem_mib}M,share=on", "-numa", "node,memdev=ram",
                 "-kernel", kernel, "-initrd", path, "-append", KERNEL_COMMAND_LINE,
                 "-chardev", f"socket,id=files,fd={files.fileno()}",
                 "-device", "vhost-user-fs-pci,chardev=files,tag=host",
                 # Few ports: QEMU polls two descriptors for each, thousands of times a second.
                 "-device", "virtio-serial-pci,max_ports=8"]
        if icount:
            words += ["-accel", "tcg,thread=single,tb-size=1024", "-icount", "shift=0"]
        else:
            words += ["-accel", "tcg,thread=multi,tb-size=1024"]
        words += [*self.port("console", fds), "-serial", "chardev:console"]
        words += [*self.port("control", fds), "-device", "virtserialport,chardev=control,nr=1"]
        if self.tty:
            words += [*self.port("tty", fds), "-device", "virtconsole,chardev=tty,nr=0"]
        else:
            for number, name in enumerate(("stdin", "stdout", "stderr"), start=2):
                words += [*self.port(name, fds), "-device", f"virtserialport,chardev={name},nr={number}"]
        self.spawn(words, fds)
        for fd in fds:
            if fd != files.fileno():
                os.close(fd)
        files.close()

    def close(self):
        """Ends both processes."""
        for process in reversed(self.processes):
            process.kill()
        for process in self.processes:
            process.wait()
        for port in self.ports.values():
            port.close()

    def log(self):
        """What the two processes and the outer kernel said."""
        self.errors.seek(0)
        # The model is EPYC minus what TCG does not have, which is no news.
        lines = [line for line in self.errors.read().splitlines(True) if b"TCG doesn't support requested" not in line]
        return b"".join(lines) + bytes(self.console)

    def receive(self, name):
        """What a port has; nothing if QEMU is gone."""
        try:
            return self.ports[name].recv(65536)
        except OSError:
            return b""

    def read_console(self):
        """Keeps the end of what the outer kernel says."""
        data = self.receive("console")
        self.console += data
        del self.console[:-MAX_CONSOLE_BYTES]
        return data

    def qemu_ended(self):
        """It has not been told to."""
        while self.read_console():
            pass
        raise OuterHostError("the nested host ended before the command did")

    def run(self, on_ready):
        """Follows the command and gives its exit code. on_ready() is called when the host is up."""
        outputs = {"tty": Output(self.end, 1)} if self.tty else {
            "stdout": Output(self.end, 1), "stderr": Output(self.end, 2)}
        # session.sh waits for a first line.
        source = Input(self.ports["tty"].dup(), b"") if self.tty else Input(self.ports["stdin"], b"\n")
        heard = b""
        heard_at = time.monotonic()
        status = None
        qemu = os.pidfd_open(self.processes[-1].pid)
        try:
            with selectors.PollSelector() as selector:
                selector.register(self.ports["console"], selectors.EVENT_READ, self.read_console)
                selector.register(self.ports["control"], selectors.EVENT_READ)
                selector.register(qemu, selectors.EVENT_READ, self.qemu_ended)
                for name, output in outputs.items():
                    selector.register(self.ports[name], selectors.EVENT_READ,
                                      lambda name=name, output=output: output.feed(self.receive(name)))
                while status is None or not all(output.ended for output in outputs.values()):
                    source.watch(selector)
                    ready = selector.select(1)
                    # A virtual clock may stand still for long.
                    if time.monotonic() - heard_at > SILENCE_S and not self.icount:
                        raise OuterHostError(f"the nested host has done nothing for {SILENCE_S} s")
                    for key, _ in ready:
                        if key.data:
                            key.data()
                            continue
                        heard_at = time.monotonic()
                        *lines, heard = (heard + self.receive("control")).split(b"\n")
                        for line in lines:
                            if line == b"ready":
                                source.open = True
                                on_ready()
                            elif line.startswith(b"exit "):
                                status = int(line[5:])
        finally:
            os.close(qemu)
        return status
