#include "jail/confine.hpp"
#include "base/io.hpp"
#include "confined_child.hpp"
#include "jail/privileges.hpp"

#include <array>
#include <csignal>
#include <vector>

#include <doctest/doctest.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

using namespace pyro;

namespace {

enum Answer : int { yes = 0, no = 1 };

int answer(bool is_so) {
  return is_so ? yes : no;
}

long landlock_abi() {
  return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

rlim_t hard_limit(__rlimit_resource resource) {
  rlimit limit{};
  ::getrlimit(resource, &limit);
  return limit.rlim_max;
}

std::string status_of_self() {
  const auto text = base::read_file("/proc/self/status", 1 << 16);
  return text.ok() ? *text : std::string();
}

}  // namespace

TEST_CASE("stray descriptors: one is named → all others from 3 on are closed") {
  const auto ending = jail::in_child([] {
    const int kept = ::fcntl(STDIN_FILENO, F_DUPFD, 10);
    const int below = ::fcntl(STDIN_FILENO, F_DUPFD, 5);
    const int above = ::fcntl(STDIN_FILENO, F_DUPFD, 100);
    const bool done = jail::close_stray_fds(kept).ok() && jail::close_stray_fds(kept).ok();
    return answer(done && ::fcntl(kept, F_GETFD) >= 0 && ::fcntl(below, F_GETFD) < 0 && ::fcntl(above, F_GETFD) < 0 &&
                  ::fcntl(STDOUT_FILENO, F_GETFD) >= 0);
  });
  CHECK(ending.exit_code == yes);
}

TEST_CASE("stray descriptors: the lowest one is kept, or none → no error") {
  CHECK(jail::in_child([] { return answer(jail::close_stray_fds(3).ok()); }).exit_code == yes);
  CHECK(jail::in_child([] { return answer(jail::close_stray_fds(-1).ok()); }).exit_code == yes);
}

TEST_CASE("limits: lowered twice → the lower one stays, core dumps are off") {
  const auto ending = jail::in_child([] {
    const bool done = jail::limit_resources({.file_size_bytes = 4096, .open_files = 50}).ok() &&
                      jail::limit_resources({.file_size_bytes = 8192, .open_files = 60}).ok();
    return answer(done && hard_limit(RLIMIT_FSIZE) == 4096 && hard_limit(RLIMIT_NOFILE) == 50 &&
                  hard_limit(RLIMIT_CORE) == 0);
  });
  CHECK(ending.exit_code == yes);
}

TEST_CASE("limits: no file writes → a file cannot grow, a socket still takes bytes") {
  const auto ending = jail::in_child([] {
    auto file = base::make_memfd("test");
    auto sockets = base::make_socket_pair();
    if (!file.ok() || !sockets.ok() || !jail::limit_resources({.no_file_writes = true}).ok()) {
      return 2;
    }
    ::signal(SIGXFSZ, SIG_IGN);
    return answer(::write(file->get(), "x", 1) < 0 && errno == EFBIG && ::write(sockets->first.get(), "x", 1) == 1);
  });
  CHECK(ending.exit_code == yes);
}

TEST_CASE("early stage: done → not dumpable, no capabilities, no new privileges, few descriptors") {
  const auto ending = jail::in_child([] {
    const auto early = jail::confine_early(-1);
    const std::string status = status_of_self();
    return answer(early.ok() && ::prctl(PR_GET_DUMPABLE) == 0 && hard_limit(RLIMIT_NOFILE) <= 256 &&
                  status.find("CapEff:\t0000000000000000") != std::string::npos &&
                  status.find("CapPrm:\t0000000000000000") != std::string::npos &&
                  status.find("NoNewPrivs:\t1") != std::string::npos);
  });
  CHECK(ending.exit_code == yes);
}

TEST_CASE("early stage: done → the memory account can be read again and again, though not opened any more") {
  const auto ending = jail::in_child([] {
    const auto early = jail::confine_early(-1);
    if (!early.ok() || !early->memory_account.valid() || !jail::confine_process({}).ok()) {
      return 2;
    }
    std::array<char, 4096> buffer{};
    bool reads = true;
    for (int i = 0; i < 2; ++i) {
      const ssize_t got = ::pread(early->memory_account.get(), buffer.data(), buffer.size() - 1, 0);
      reads = reads && got > 0 && std::string(buffer.data()).find("Private_Dirty:") != std::string::npos;
    }
    return answer(reads);
  });
  CHECK(ending.exit_code == yes);
}

TEST_CASE("early stage under root: done → a user of its own, which its children have too") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: not root");
    return;
  }
  const auto ending = jail::in_child([] {
    if (!jail::confine_early(-1).ok()) {
      return 2;
    }
    const uid_t own = jail::kPrivateUidBase + static_cast<uid_t>(::getpid());
    // The engine has to remain ours to end.
    const pid_t child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    const bool killed = ::kill(child, SIGKILL) == 0;
    ::waitpid(child, nullptr, 0);
    const bool no_bounds = status_of_self().find("CapBnd:\t0000000000000000") != std::string::npos;
    return answer(killed && no_bounds && ::getuid() == own && ::getgid() == own && ::setuid(0) != 0);
  });
  CHECK(ending.exit_code == yes);
}

TEST_CASE("early stage: done → a program can still be executed") {
  const auto ending = jail::in_child([] {
    if (!jail::confine_early(-1).ok()) {
      return 2;
    }
    ::execl("/bin/true", "true", nullptr);
    return 3;
  });
  CHECK(ending.exit_code == 0);
}

TEST_CASE("early stage: done → the parent cannot be signalled (Landlock)") {
  if (landlock_abi() < 6) {
    MESSAGE("skipped: Landlock of this kernel cannot confine signals");
    return;
  }
  const auto ending = jail::in_child([] {
    const pid_t parent = ::getppid();
    return jail::forbid_new_privileges().ok() && jail::forbid_outside_signals() && ::kill(parent, 0) != 0 ? errno : 0;
  });
  CHECK(ending.exit_code == EPERM);
}

TEST_CASE("late stage without a filter: done → no file system (Landlock), what is open stays usable") {
  if (landlock_abi() < 1) {
    MESSAGE("skipped: this kernel has no Landlock");
    return;
  }
  const auto ending = jail::in_child([] {
    const base::Fd open(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    if (!jail::confine_early(open.get()).ok() || !jail::confine_process({}).ok()) {
      return 2;
    }
    char byte = 0;
    const bool closed = ::open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES;
    const bool no_null = ::open("/dev/null", O_RDWR) < 0 && errno == EACCES;
    const bool no_exec = ::execl("/bin/true", "true", nullptr) < 0 && errno == EACCES;
    return answer(closed && no_null && no_exec && ::read(open.get(), &byte, 1) == 1);
  });
  CHECK(ending.exit_code == yes);
}

TEST_CASE("stages: run twice → nothing fails, nothing comes back") {
  const auto ending = jail::in_child([] {
    const bool twice = jail::confine_like_pyro_vm() && jail::confine_early(-1).ok() && jail::confine_process({}).ok();
    return answer(twice && hard_limit(RLIMIT_FSIZE) == 0);
  });
  CHECK(ending.exit_code == yes);
}

TEST_CASE("cgroup: one whose list of processes takes us → entered; one that does not → an error that says why") {
  auto pipe = base::make_pipe();
  REQUIRE(pipe.ok());
  REQUIRE(jail::join_cgroup(pipe->second.get()).ok());
  char written = 0;
  CHECK(::read(pipe->first.get(), &written, 1) == 1);
  CHECK(written == '0');
  const auto refused = jail::join_cgroup(pipe->first.get());
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == PYRO_ERROR_INVALID);
  CHECK(refused.error().message.find("PYRO_CGROUP") != std::string::npos);
}
