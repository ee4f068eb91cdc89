"""The kernel and the initramfs of the outer host.

Made on first use from two Debian packages, which are unpacked and not installed, and kept in the
build folder: packages/ as long as nobody removes it, boot files by a digest of what they were made from.
"""
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# In the order of loading. KVM first, for no other reason than that it needs none of the others.
MODULES = ("irqbypass", "kvm", "kvm-amd", "fuse", "virtio_ring", "virtio", "virtio_pci_modern_dev",
           "virtio_pci_legacy_dev", "virtio_pci", "virtiofs", "overlay", "virtio_console")
SCRIPTS = ("init", "session.sh")


class BootFilesError(Exception):
    """The boot files cannot be made; the message says why."""


def cpio(entries):
    """A newc archive. Entries: (name, mode, content); the mode has the file's type."""
    out = bytearray()
    for inode, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        encoded = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        out += bytes(-len(out) % 4)
        out += content
        out += bytes(-len(out) % 4)
    return bytes(out)


def directory(name):
    """A cpio entry."""
    return (name, 0o040755, b"")


def regular(name, content, mode=0o644):
    """A cpio entry."""
    return (name, 0o100000 | mode, content)


def apt(*command, cwd=None):
    """Runs a command of apt and gives its output."""
    try:
        done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BootFilesError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise BootFilesError(f"{' '.join(command)}: {done.stdout.strip()}")
    return done.stdout


def download(target):
    """Fetches the packages into a folder that does not exist yet."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as temp:
        os.chmod(temp, 0o755)
        depends = apt("apt-cache", "depends", "linux-image-cloud-amd64")
        kernels = [line.split()[1] for line in depends.splitlines() if line.strip().startswith("Depends: linux-image-")]
        if not kernels:
            raise BootFilesError("apt does not know linux-image-cloud-amd64; does 'apt-get update' help?")
        apt("apt-get", "-q", "download", kernels[0], "busybox-static", cwd=temp)
        shutil.copytree(temp, target + ".part")
    os.rename(target + ".part", target)


def package(folder, prefix):
    """The package whose file name begins so."""
    found = glob.glob(os.path.join(folder, prefix + "*.deb"))
    if len(found) != 1:
        raise BootFilesError(f"{folder} has {len(found)} packages {prefix}*; remove it to fetch them again")
    return found[0]


def unpack(deb, wanted):
    """The files of a package for which wanted(name) gives a key, by that key."""
    found = {}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for member in tar:
                key = wanted(member.name) if member.isreg() else None
                if key:
                    found[key] = tar.extractfile(member).read()
    if process.returncode != 0:
        raise BootFilesError(f"cannot unpack {deb}")
    return found


def kernel_file(name):
    """The key of a file that is needed of the kernel's package."""
    base = os.path.basename(name)
    if base.startswith("vmlinuz-"):
        return "kernel"
    return base[:-3] if base.endswith(".ko") and base[:-3] in MODULES else None


def make(target, kernel_deb, busybox_deb):
    """Writes kernel and initramfs into a new folder."""
    files = unpack(kernel_deb, kernel_file)
    files.update(unpack(busybox_deb, lambda name: "busybox" if name == "./bin/busybox" else None))
    missing = {"kernel", "busybox", *MODULES} - set(files)
    if missing:
        raise BootFilesError(f"not in the packages: {' '.join(sorted(missing))}")
    entries = [directory(name) for name in ("bin", "dev", "proc", "sys", "lower", "ram", "root", "modules")]
    # Until devtmpfs is there, the kernel opens this for init's own messages.
    entries += [("dev/console", 0o020600, b""), regular("bin/busybox", files["busybox"], 0o755)]
    entries += [regular(f"modules/{name}.ko", files[name]) for name in MODULES]
    entries.append(regular("modules/order", "".join(f"{name}\n" for name in MODULES).encode()))
    for script in SCRIPTS:
        with open(os.path.join(HERE, script), "rb") as file:
            entries.append(regular(script, file.read(), 0o755))
    temp = tempfile.mkdtemp(dir=os.path.dirname(target))
    os.chmod(temp, 0o755)
    for name, content in (("kernel", files["kernel"]), ("initramfs", cpio(entries))):
        with open(os.path.join(temp, name), "wb") as file:
            file.write(content)
    os.rename(temp, target)
    # Older ones may be what a host boots from at this moment, but not for an hour.
    for other in glob.glob(os.path.join(os.path.dirname(target), "boot-*")):
        if os.stat(other).st_mtime < time.time() - 3600:
            shutil.rmtree(other)


def prepare(cache):
    """The paths of (kernel, initramfs); makes them if they are not there."""
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        packages = os.path.join(cache, "packages")
        if not os.path.isdir(packages):
            shutil.rmtree(packages + ".part", ignore_errors=True)
            download(packages)
        kernel_deb, busybox_deb = package(packages, "linux-image-"), package(packages, "busybox-static_")
        digest = hashlib.sha256(f"{kernel_deb} {busybox_deb}".encode())
        for source in (*SCRIPTS, os.path.basename(__file__)):
            with open(os.path.join(HERE, source), "rb") as file:
                digest.update(file.read())
        boot = os.path.join(cache, "boot-" + digest.hexdigest()[:16])
        if not os.path.isdir(boot):
            make(boot, kernel_deb, busybox_deb)
    return os.path.join(boot, "kernel"), os.path.join(boot, "initramfs")
