#include "guest/personalise.hpp"

#include "base/io.hpp"
#include "guest/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::guest {

using base::Status;

namespace {

// The kernel's struct rand_pool_info has a flexible array, which C++ has not.
struct EntropyRequest {
  int entropy_bits;
  int size_bytes;
  decltype(wire::Personalise::entropy) bytes;
};

bool is_hostname(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

bool is_machine_id(const std::string& id) {
  return std::all_of(id.begin(), id.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Status add_entropy(const wire::Personalise& message) {
  PYRO_TRY_ASSIGN(const base::Fd random, base::open_file("/dev/urandom", O_WRONLY));
  EntropyRequest request{static_cast<int>(message.entropy.size()) * 8, static_cast<int>(message.entropy.size()),
                         message.entropy};
  const bool added = ::ioctl(random.get(), RNDADDENTROPY, &request) == 0 && ::ioctl(random.get(), RNDRESEEDCRNG) == 0;
  const int why = errno;
  ::explicit_bzero(&request, sizeof request);
  if (!added) {
    return base::errno_error(why, "cannot seed the guest's random numbers");
  }
  return base::success();
}

Status set_identity(const wire::Personalise& message) {
  if (!is_hostname(message.hostname) || !is_machine_id(message.machine_id)) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the supervisor sent a host name or machine id of a wrong form");
  }
  PYRO_TRY(add_entropy(message));
  const timespec now{message.realtime_ns / 1'000'000'000, message.realtime_ns % 1'000'000'000};
  if (::clock_settime(CLOCK_REALTIME, &now) != 0) {
    return base::errno_error(errno, "cannot set the guest's clock");
  }
  if (::sethostname(message.hostname.data(), message.hostname.size()) != 0) {
    return base::errno_error(errno, "cannot set the guest's host name");
  }
  return base::success();
}

Status mount_root(const Machine& machine, bool keeps_disk) {
  // No access times, no background work on its tables. Where the disk lives no longer than its VM, nothing that a crash
  // could tear needs care either.
  PYRO_TRY(mount_on(machine.scratch_disk.c_str(), kScratchPath, "ext4", MS_NOATIME,
                    keeps_disk ? "noinit_itable" : "noinit_itable,noauto_da_alloc"));
  // The workspace is for whatever user a command runs as, like /tmp.
  for (const auto& [name, mode] : {std::pair{"upper", 0755U}, {"work", 0755U}, {"workspace", 01777U}}) {
    const std::string path = fmt::format("{}/{}", kScratchPath, name);
    if ((::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) || ::chmod(path.c_str(), mode) != 0) {
      return base::errno_error(errno, "cannot make " + path + " on the scratch disk");
    }
  }
  // volatile: if nothing of the root outlives the VM, changing a file of the image need not wait for the
  // disk. (/workspace is not on the overlay.) The mark that it leaves would forbid a second mount.
  for (const char* mark : {"volatile", ""}) {
    ::rmdir(fmt::format("{}/work/work/incompat/{}", kScratchPath, mark).c_str());
  }
  const std::string options = fmt::format("lowerdir={0},upperdir={1}/upper,workdir={1}/work{2}", kLowerPath,
                                          kScratchPath, keeps_disk ? "" : ",volatile");
  return mount_on("overlay", kRootPath, "overlay", MS_NOATIME, options.c_str());
}

// An image may do without any of these or have made them something else: never a reason to fail.
void write_identity_files(const wire::Personalise& message) {
  const auto root = base::open_file(kRootPath, O_PATH | O_DIRECTORY);
  if (!root.ok() || !directory_in(root->get(), "etc", 0755).ok()) {
    return;
  }
  (void)put_file_in(root->get(), "etc/hostname", message.hostname + "\n", 0644);
  (void)put_file_in(root->get(), "etc/machine-id", message.machine_id + "\n", 0444);
  if (!open_in(root->get(), "etc/hosts", O_PATH).ok()) {
    (void)put_file_in(
        root->get(), "etc/hosts",
        fmt::format("127.0.0.1 localhost\n127.0.1.1 {}\n::1 localhost ip6-localhost ip6-loopback\n", message.hostname),
        0644);
  }
}

}  // namespace

Status personalise(const wire::Personalise& message, const Machine& machine) {
  PYRO_TRY(set_identity(message));
  PYRO_TRY(mount_root(machine, message.keeps_disk));
  write_identity_files(message);
  return base::success();
}

}  // namespace pyro::guest
