#include "guest/inner_root.hpp"

#include "base/io.hpp"
#include "guest/boot.hpp"
#include "guest/files.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace pyro::guest {

using base::Status;

namespace {

constexpr unsigned long kNoSpecial = MS_NOSUID | MS_NODEV | MS_NOEXEC;

// Mounts on a directory (one name) below `parent`, made if it is missing.
Status mount_in(int parent, const char* name, mode_t mode, const char* type, unsigned long flags,
                const char* options = nullptr, const char* source = nullptr) {
  PYRO_TRY_ASSIGN(const base::Fd target, directory_in(parent, name, mode));
  auto status = mount_on(source != nullptr ? source : type, fd_path(target.get()), type, flags, options);
  if (!status.ok()) {
    auto error = std::move(status).error();
    error.message = fmt::format("cannot mount /{} for commands: {}", name, base::errno_text(error.sys_errno));
    return error;
  }
  return base::success();
}

struct Node {
  const char* name;
  unsigned minor;
  unsigned major;
};
// No disk, no memory, no port: what any program may expect, and no more.
constexpr Node kNodes[] = {{"null", 3, 1},   {"zero", 5, 1},    {"full", 7, 1},
                           {"random", 8, 1}, {"urandom", 9, 1}, {"tty", 0, 5}};

struct Alias {
  const char* name;
  const char* target;
};
constexpr Alias kAliases[] = {{"ptmx", "pts/ptmx"},
                              {"fd", "/proc/self/fd"},
                              {"stdin", "/proc/self/fd/0"},
                              {"stdout", "/proc/self/fd/1"},
                              {"stderr", "/proc/self/fd/2"}};

Status mount_dev(int root) {
  // Small: it holds nodes; a file that someone writes here by mistake ends at once.
  PYRO_TRY(mount_in(root, "dev", 0755, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=256k,nr_inodes=1024"));
  PYRO_TRY_ASSIGN(const base::Fd dev, open_in(root, "dev", O_PATH | O_DIRECTORY));
  for (const Node& node : kNodes) {
    if (::mknodat(dev.get(), node.name, S_IFCHR, ::makedev(node.major, node.minor)) != 0 ||
        ::fchmodat(dev.get(), node.name, 0666, 0) != 0) {
      return base::errno_error(errno, fmt::format("cannot make /dev/{}", node.name));
    }
  }
  for (const Alias& alias : kAliases) {
    if (::symlinkat(alias.target, dev.get(), alias.name) != 0) {
      return base::errno_error(errno, fmt::format("cannot make /dev/{}", alias.name));
    }
  }
  PYRO_TRY(mount_in(dev.get(), "pts", 0755, nullptr, MS_BIND, nullptr, kPtsPath));
  PYRO_TRY(mount_in(dev.get(), "shm", 01777, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
  // POSIX message queues are an option of the kernel's.
  (void)mount_in(dev.get(), "mqueue", 01777, "mqueue", kNoSpecial);
  return base::success();
}

Status mount_all(int root) {
  PYRO_TRY(mount_in(root, "proc", 0555, "proc", kNoSpecial));
  PYRO_TRY(mount_in(root, "sys", 0555, "sysfs", kNoSpecial | MS_RDONLY));
  PYRO_TRY_ASSIGN(const base::Fd sys_fs, open_in(root, "sys/fs", O_PATH | O_DIRECTORY));
  PYRO_TRY(mount_in(sys_fs.get(), "cgroup", 0755, "cgroup2", kNoSpecial));
  PYRO_TRY(mount_dev(root));
  PYRO_TRY(mount_in(root, "run", 0755, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=20%"));
  (void)directory_in(root, "tmp", 01777);
  const std::string workspace = fmt::format("{}/workspace", kScratchPath);
  return mount_in(root, "workspace", 0755, nullptr, MS_BIND, nullptr, workspace.c_str());
}

}  // namespace

Status enter_inner_root() {
  PYRO_TRY_ASSIGN(const base::Fd root, base::open_file(kRootPath, O_PATH | O_DIRECTORY));
  PYRO_TRY(mount_all(root.get()));
  for (const char* mine : {"/cgroup", kScratchPath, kLowerPath, kPtsPath, "/dev", "/sys", "/proc"}) {
    if (::umount2(mine, MNT_DETACH) != 0) {
      return base::errno_error(errno, fmt::format("cannot take {} out of the commands' view", mine));
    }
  }
  // The initramfs cannot be pivoted away from: the new root is moved over it instead.
  if (::fchdir(root.get()) != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0 ||
      ::chdir("/") != 0) {
    return base::errno_error(errno, "cannot enter the commands' root directory");
  }
  return base::success();
}

}  // namespace pyro::guest
