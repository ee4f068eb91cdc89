#include "guest/boot.hpp"

#include "base/io.hpp"
#include "guest/console.hpp"
#include "guest/devices.hpp"
#include "guest/files.hpp"
#include "guest/modules.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::guest {

using base::Status;

namespace {

constexpr const char* kPortName = "pyro.agent";
constexpr const char* kRootSerial = "root";
constexpr const char* kScratchSerial = "scratch";
constexpr unsigned kVirtioIdBalloon = 5;  // virtio 1.2, 5.5.1
constexpr unsigned kVirtioIdPmem = 27;    // 5.19.1

Status mount_kernel_filesystems() {
  for (const char* path : {"/proc", "/sys", "/dev", kLowerPath, kScratchPath, kRootPath, kPtsPath}) {
    ::mkdir(path, 0755);
  }
  constexpr unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  PYRO_TRY(mount_on("proc", "/proc", "proc", flags));
  PYRO_TRY(mount_on("sysfs", "/sys", "sysfs", flags));
  auto dev = mount_on("devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC);
  // The kernel may have mounted it before us.
  if (!dev.ok() && dev.error().sys_errno != EBUSY) {
    return dev;
  }
  // Mode and group as Debian has them: group 5 is tty.
  return mount_on("devpts", kPtsPath, "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666");
}

void reserve_descriptors() {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd <= kReportFd; ++fd) {
    if (fd != null) {
      ::dup3(null, fd, O_CLOEXEC);
    }
  }
  if (null > kReportFd) {
    ::close(null);
  }
}

// The agent answers whatever the commands do to processor and memory; as process 1 it is never killed for want of it.
// Best effort each: a guest without one of these still runs commands.
void raise_own_priority() {
  ::signal(SIGPIPE, SIG_IGN);
  sched_param realtime{};
  realtime.sched_priority = kAgentPriority;
  // Not for children: commands run at the normal priority.
  ::sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &realtime);
  // On fault: reading in all of the program would take longer than all of this.
  ::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

Status load_modules(ModuleLoader& modules) {
  PYRO_TRY_ASSIGN(modules, ModuleLoader::open());
  // The console early: its handshake with the host goes on while the others load.
  for (const char* module : {"virtio_mmio", "virtio_console", "virtio_blk", "erofs", "overlay"}) {
    PYRO_TRY(modules.load(module));
  }
  if (has_virtio_device(kVirtioIdPmem)) {
    for (const char* module : {"virtio_pmem", "nd_pmem"}) {
      PYRO_TRY(modules.load(module));
    }
  }
  modules.keep_only(has_virtio_device(kVirtioIdBalloon) ? "virtio_balloon" : "");
  return base::success();
}

// The root image is memory where the machine can map it into the guest (then all guests of the host share
// its pages, and the guest keeps no copies), else a disk.
Status mount_root_image() {
  Status root = base::success();
  if (has_virtio_device(kVirtioIdPmem)) {
    PYRO_TRY_ASSIGN(const std::string device, find_persistent_memory());
    root = mount_on(device.c_str(), kLowerPath, "erofs", MS_RDONLY | MS_NOATIME, "dax=always");
  } else {
    PYRO_TRY_ASSIGN(const std::string device, find_disk(kRootSerial));
    root = mount_on(device.c_str(), kLowerPath, "erofs", MS_RDONLY | MS_NOATIME);
  }
  if (!root.ok()) {
    auto error = std::move(root).error();
    error.code = PYRO_ERROR_ENVIRONMENT;
    error.message += "; the root image of the environment is broken: verify it, or build it again";
    return error;
  }
  return base::success();
}

Status loopback_up() {
  const base::Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (!fd.valid() || ::ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) {
    return base::errno_error(errno, "cannot bring up the loopback network");
  }
  return base::success();
}

}  // namespace

Status boot(Machine& machine) {
  PYRO_TRY(mount_kernel_filesystems());
  reserve_descriptors();
  raise_own_priority();

  // A module that fails is reported over the port, if there is one all the same.
  const auto loaded = load_modules(machine.modules);
  PYRO_TRY_ASSIGN(machine.port, open_port(kPortName));
  PYRO_TRY(loaded);

  PYRO_TRY_ASSIGN(machine.scratch_disk, find_disk(kScratchSerial));
  PYRO_TRY(mount_root_image());
  PYRO_TRY_ASSIGN(machine.cgroups, prepare_cgroups());
  if (auto status = loopback_up(); !status.ok()) {
    console_line(status.error().message);
  }
  return base::success();
}

void load_idle_drivers(ModuleLoader& modules) {
  if (const auto status = modules.load_rest(); !status.ok()) {
    console_line(status.error().message);
  }
}

}  // namespace pyro::guest
