#include "guest/cgroups.hpp"

#include "base/io.hpp"
#include "guest/files.hpp"
#include "guest/limits.hpp"
#include "guest/processes.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <span>
#include <string_view>

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pyro::guest {

namespace {

constexpr const char* kMount = "/cgroup";
constexpr const char* kCommands = "/cgroup/commands";
constexpr const char* kInit = "/cgroup/commands/init";
// A hostile command can nest its own cgroups as deep as memory lets it; deeper ones stay until the guest ends.
constexpr int kMaxRemoveDepth = 32;
// Without cgroup.kill (before Linux 5.14): rounds of killing all that is listed, against forks under way.
constexpr int kMaxKillRounds = 64;
constexpr std::size_t kMaxStatBytes = 1024;

// A few lines that the kernel makes in one piece: one read() is all of them.
std::string_view read_stat(int directory, const char* name, std::span<char> buffer) {
  const base::Fd file(::openat(directory, name, O_RDONLY | O_CLOEXEC));
  const ssize_t got = file.valid() ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
  return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
}

base::Status make_directory(const char* path) {
  if (::mkdir(path, 0755) != 0 && errno != EEXIST) {
    return base::errno_error(errno, fmt::format("cannot make the cgroup {}", path));
  }
  return base::success();
}

bool remove_tree(int parent, const char* name, int depth) {
  if (::unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
    return true;
  }
  if (depth == kMaxRemoveDepth) {
    return false;
  }
  const int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* directory = fd < 0 ? nullptr : ::fdopendir(fd);
  if (directory == nullptr) {
    return false;
  }
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
      remove_tree(::dirfd(directory), entry->d_name, depth + 1);
    }
  }
  ::closedir(directory);
  return ::unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

// The root of a new cgroup namespace is the cgroup of its maker: a child lives there for that moment.
base::Result<base::Fd> make_cgroup_namespace() {
  PYRO_TRY_ASSIGN(const base::Fd commands, base::open_file(kCommands, O_RDONLY | O_DIRECTORY));
  PYRO_TRY_ASSIGN(base::FdPair made, base::make_pipe());
  PYRO_TRY_ASSIGN(const Child child, fork_into(commands.get(), 0));
  if (child.is_me()) {
    if (::unshare(CLONE_NEWCGROUP) == 0 && ::write(made.second.get(), "", 1) == 1) {
      ::pause();
    }
    ::_exit(1);
  }
  made.second.reset();
  char byte = 0;
  const bool ok = ::read(made.first.get(), &byte, 1) == 1;
  auto name_space = base::open_file(fmt::format("/proc/{}/ns/cgroup", child.pid), O_RDONLY);
  ::kill(child.pid, SIGKILL);
  ::waitpid(child.pid, nullptr, 0);
  if (!ok) {
    return base::make_error(PYRO_ERROR_BOOT, "cannot make the commands' cgroup namespace");
  }
  return name_space;
}

}  // namespace

base::Result<CgroupTree> prepare_cgroups() {
  PYRO_TRY(make_directory(kMount));
  // nsdelegate: the limits at the root of the commands' namespace are out of their reach.
  PYRO_TRY(mount_on("cgroup2", kMount, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate"));
  PYRO_TRY(write_file("/cgroup/cgroup.subtree_control", "+memory +pids"));
  PYRO_TRY(make_directory(kCommands));
  const std::string meminfo = read_file_at(AT_FDCWD, "/proc/meminfo");
  const GuestLimits limits =
      guest_limits(keyed_number(meminfo, "MemTotal") * 1024, keyed_number(meminfo, "MemAvailable") * 1024);
  PYRO_TRY(write_file("/cgroup/commands/memory.max", std::to_string(limits.memory_bytes)));
  PYRO_TRY(write_file("/cgroup/commands/pids.max", std::to_string(limits.tasks)));

  CgroupTree tree;
  // Before the next line: a cgroup that hands controllers down may not have processes of its own.
  PYRO_TRY_ASSIGN(tree.name_space, make_cgroup_namespace());
  PYRO_TRY(write_file("/cgroup/commands/cgroup.subtree_control", "+memory"));
  PYRO_TRY(make_directory(kInit));
  PYRO_TRY_ASSIGN(tree.init, base::open_file(kInit, O_RDONLY | O_DIRECTORY));
  return tree;
}

base::Result<CommandCgroup> CommandCgroup::create(std::uint64_t number) {
  CommandCgroup cgroup;
  cgroup.name_ = std::to_string(number);
  const std::string path = fmt::format("{}/{}", kCommands, cgroup.name_);
  PYRO_TRY(make_directory(path.c_str()));
  PYRO_TRY_ASSIGN(cgroup.directory_, base::open_file(path, O_RDONLY | O_DIRECTORY));
  return cgroup;
}

bool CommandCgroup::exists() const noexcept {
  return ::faccessat(fd(), "cgroup.procs", F_OK, 0) == 0;
}

void CommandCgroup::kill() const {
  if (write_file_at(fd(), "cgroup.kill", "1").ok()) {
    return;
  }
  for (int round = 0; round < kMaxKillRounds; ++round) {
    const std::string pids = read_file_at(fd(), "cgroup.procs");
    const char* at = pids.data();
    const char* const end = at + pids.size();
    bool any = false;
    for (pid_t pid = 0; at < end; ++at) {
      at = std::from_chars(at, end, pid).ptr;
      // 0 is a process of another namespace, and kill(0) would be ourselves.
      any = (pid > 1 && ::kill(pid, SIGKILL) == 0) || any;
    }
    if (!any) {
      return;
    }
  }
}

CgroupUsage CommandCgroup::usage() const {
  CgroupUsage usage;
  std::array<char, kMaxStatBytes> buffer;
  usage.oom_killed = keyed_number(read_stat(fd(), "memory.events", buffer), "oom_kill") > 0;
  usage.cpu_time_ms = keyed_number(read_stat(fd(), "cpu.stat", buffer), "usage_usec") / 1000;
  const std::string_view peak = read_stat(fd(), "memory.peak", buffer);
  std::from_chars(peak.data(), peak.data() + peak.size(), usage.memory_peak_bytes);
  return usage;
}

bool remove_command_cgroup(const std::string& name) {
  const auto commands = base::open_file(kCommands, O_RDONLY | O_DIRECTORY);
  return commands.ok() && remove_tree(commands->get(), name.c_str(), 0);
}

}  // namespace pyro::guest
