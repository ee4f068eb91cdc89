// What sweeping and checking do to directories that are cgroups, and to those that are none. The former takes root and a
// hierarchy of version 2, with or without the CPU controller.
#include "client/vm_cgroup.hpp"

#include "fixture.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <optional>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

using namespace pyro;
namespace fs = std::filesystem;

namespace {

std::optional<std::string> find_mount() {
  std::ifstream mounts("/proc/self/mounts");
  std::string source;
  std::string path;
  std::string type;
  std::string rest;
  while (mounts >> source >> path >> type && std::getline(mounts, rest)) {
    if (type == "cgroup2") {
      return path;
    }
  }
  return std::nullopt;
}

/// An empty cgroup of our own; not valid where none can be made.
class Cgroup {
 public:
  Cgroup() {
    if (const auto mount = find_mount(); mount && ::geteuid() == 0) {
      path_ = *mount + "/test-" + std::to_string(::getpid());
      if (::mkdir(path_.c_str(), 0755) != 0) {
        path_.clear();
      }
    }
    if (path_.empty()) {
      MESSAGE("skipped: no cgroup of version 2 can be made here");
    }
  }
  ~Cgroup() {
    for (const std::string& name : names()) {
      ::rmdir((path_ + "/" + name).c_str());
    }
    ::rmdir(path_.c_str());
  }
  [[nodiscard]] bool valid() const { return !path_.empty(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string make(const std::string& name) const {
    REQUIRE(::mkdir((path_ + "/" + name).c_str(), 0755) == 0);
    return path_ + "/" + name;
  }
  /// Of the cgroups in it.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> found;
    std::error_code failure;
    for (fs::directory_iterator entry(path_, failure), end; !failure && entry != end; ++entry) {
      if (entry->is_directory()) {
        found.push_back(entry->path().filename());
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("vm cgroup: a directory that is no cgroup → refused, and nothing in it removed") {
  const fixture::TempDir folder;
  fs::create_directory(folder / "pyro-mine");
  client::sweep_cgroups(folder.path());
  CHECK(fs::exists(folder / "pyro-mine"));
  const auto refused = client::check_cgroup(folder.path());
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == PYRO_ERROR_INVALID);
}

TEST_CASE("vm cgroup: swept → the left-overs go; those in use, of a start, or not ours stay") {
  const Cgroup parent;
  if (!parent.valid()) {
    return;
  }
  const std::string used = parent.make("pyro-used");
  const std::string starting = parent.make("pyro-starting");
  (void)parent.make("pyro-left");
  (void)parent.make("other");
  const base::Fd lock(::open(starting.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(::flock(lock.get(), LOCK_SH) == 0);
  const pid_t process = ::fork();
  if (process == 0) {
    ::pause();
    ::_exit(0);
  }
  const bool joined = static_cast<bool>(std::ofstream(used + "/cgroup.procs") << process << std::flush);
  client::sweep_cgroups(parent.path());
  const auto names = parent.names();
  ::kill(process, SIGKILL);
  ::waitpid(process, nullptr, 0);
  CHECK(joined);
  CHECK(names == std::vector<std::string>{"other", "pyro-starting", "pyro-used"});
}

TEST_CASE("vm cgroup: delegated, but not together with the program's own → invalid, and the one to delegate is named") {
  const Cgroup parent;
  if (!parent.valid()) {
    return;
  }
  constexpr uid_t kNobody = 65534;
  for (const char* name : {"", "/cgroup.procs", "/cgroup.subtree_control"}) {
    REQUIRE(::chown((parent.path() + name).c_str(), kNobody, kNobody) == 0);
  }
  const pid_t process = ::fork();
  if (process == 0) {
    const bool left = ::setresuid(kNobody, kNobody, kNobody) == 0;
    const auto refused = client::check_cgroup(parent.path());
    ::_exit(left && !refused.ok() && refused.error().code == PYRO_ERROR_INVALID &&
                    refused.error().message.find("has to be delegated as well") != std::string::npos
                ? 0
                : 1);
  }
  int status = -1;
  ::waitpid(process, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("vm cgroup: processes are in it → refused, although nothing is tried") {
  const Cgroup parent;
  if (!parent.valid()) {
    return;
  }
  const pid_t process = ::fork();
  if (process == 0) {
    ::pause();
    ::_exit(0);
  }
  const bool joined = static_cast<bool>(std::ofstream(parent.path() + "/cgroup.procs") << process << std::flush);
  const auto refused = client::check_cgroup(parent.path());
  ::kill(process, SIGKILL);
  ::waitpid(process, nullptr, 0);
  CHECK(joined);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find("processes are in it") != std::string::npos);
}
