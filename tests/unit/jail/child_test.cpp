#include "jail/child.hpp"
#include "base/fd.hpp"
#include "base/io.hpp"
#include "confined_child.hpp"
#include "jail/fd_passing.hpp"
#include "jail/privileges.hpp"

#include <array>
#include <csignal>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace pyro;

namespace {

// Runs `sh -c script` as a child whose stdout is a pipe; gives what it printed.
std::string output_of(const std::string& script, jail::ChildOptions options = {}) {
  auto pipe = base::make_pipe();
  REQUIRE(pipe.ok());
  const base::Fd shell(::open("/bin/sh", O_PATH | O_CLOEXEC));
  options.program = shell.get();
  options.argv = {"sh", "-c", script};
  options.fds.emplace_back(pipe->second.get(), 1);
  if (options.readable_paths.empty()) {
    options.readable_paths = {"/"};
  }
  auto child = jail::start_child(options);
  REQUIRE_MESSAGE(child.ok(), (child.ok() ? "" : child.error().message));
  pipe->second.reset();
  auto text = base::read_all(pipe->first.get(), 1 << 16, "output");
  REQUIRE(text.ok());
  return *text;
}

}  // namespace

TEST_CASE("child: started → only the descriptors it was given") {
  const base::Fd stray(::open("/etc/passwd", O_RDONLY));  // on purpose not CLOEXEC
  const base::Fd given(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  jail::ChildOptions options;
  options.fds = {{given.get(), 20}};
  const std::string listing = output_of("/bin/ls /proc/$$/fd; true", options);
  CHECK(listing == "0\n1\n2\n20\n");
}

TEST_CASE("child: started → an environment of its own, no capabilities, no new privileges") {
  jail::ChildOptions options;
  options.env = {"ONLY=this"};
  CHECK(output_of("/usr/bin/env | /bin/grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=", options) == "ONLY=this\n");
  const std::string status = output_of("/bin/grep -E '^(CapEff|CapBnd|CapPrm|NoNewPrivs)' /proc/$$/status");
  CHECK(status.find("CapEff:\t0000000000000000") != std::string::npos);
  CHECK(status.find("CapPrm:\t0000000000000000") != std::string::npos);
  CHECK(status.find("NoNewPrivs:\t1") != std::string::npos);
  if (::geteuid() == 0) {
    CHECK(status.find("CapBnd:\t0000000000000000") != std::string::npos);
  }
}

TEST_CASE("child of root: started → a user of its own") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: not root");
    return;
  }
  const base::Fd program(::open("/bin/sleep", O_PATH | O_CLOEXEC));
  jail::ChildOptions options;
  options.program = program.get();
  options.argv = {"sleep", "1000"};
  options.readable_paths = {"/"};
  const auto child = jail::start_child(options);
  REQUIRE(child.ok());
  // From outside: in the child's user namespace the id has no name.
  const auto status = base::read_file("/proc/" + std::to_string(child->pid()) + "/status", 1 << 16);
  REQUIRE(status.ok());
  const std::string id = std::to_string(jail::kPrivateUidBase + static_cast<std::uint32_t>(::getpid()));
  CHECK(status->find("Uid:\t" + id + "\t" + id + "\t" + id) != std::string::npos);
}

TEST_CASE("child: started → no network of its parent's, where user namespaces are allowed") {
  if (jail::in_child([] { return ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? 0 : errno; }).exit_code != 0) {
    MESSAGE("skipped: no user namespaces here");
    return;
  }
  CHECK(output_of("/bin/grep -c : /proc/self/net/dev") == "1\n");  // lo, which is down
}

TEST_CASE("child: Landlock in force → other files cannot be read") {
  jail::ChildOptions options;
  options.readable_paths = {"/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache"};
  const std::string out = output_of("/bin/cat /etc/passwd 2>/dev/null && echo readable; echo done", options);
  const bool has_landlock = ::access("/sys/kernel/security/landlock", F_OK) == 0 || out == "done\n";
  if (!has_landlock) {
    MESSAGE("skipped: this kernel has no Landlock");
    return;
  }
  CHECK(out == "done\n");
}

TEST_CASE("child: a program that cannot be executed → an error that names the step") {
  const base::Fd passwd(::open("/etc/passwd", O_PATH | O_CLOEXEC));
  jail::ChildOptions options;
  options.program = passwd.get();
  options.argv = {"passwd"};
  auto child = jail::start_child(options);
  REQUIRE_FALSE(child.ok());
  CHECK(child.error().message.find("execute its program") != std::string::npos);
}

TEST_CASE("child: destroyed → killed and reaped") {
  pid_t pid = -1;
  {
    const base::Fd shell(::open("/bin/sleep", O_PATH | O_CLOEXEC));
    jail::ChildOptions options;
    options.program = shell.get();
    options.argv = {"sleep", "1000"};
    options.readable_paths = {"/"};
    auto child = jail::start_child(options);
    REQUIRE(child.ok());
    pid = child->pid();
    CHECK(::kill(pid, 0) == 0);
  }
  CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("child: destroyed while an event loop has its pidfd non-blocking → reaped all the same") {
  pid_t pid = -1;
  {
    const base::Fd program(::open("/bin/sleep", O_PATH | O_CLOEXEC));
    jail::ChildOptions options;
    options.program = program.get();
    options.argv = {"sleep", "1000"};
    options.readable_paths = {"/"};
    auto child = jail::start_child(options);
    REQUIRE(child.ok());
    pid = child->pid();
    REQUIRE(base::set_nonblocking(child->pidfd()).ok());
  }
  CHECK(::waitpid(pid, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("child: ends by itself → its pidfd tells, and how it ended") {
  const base::Fd shell(::open("/bin/sh", O_PATH | O_CLOEXEC));
  jail::ChildOptions options;
  options.program = shell.get();
  options.argv = {"sh", "-c", "exit 3"};
  options.readable_paths = {"/"};
  auto child = jail::start_child(options);
  REQUIRE(child.ok());
  pollfd wait{child->pidfd(), POLLIN, 0};
  REQUIRE(::poll(&wait, 1, 5000) == 1);
  CHECK(child->describe_end() == "exited with code 3");
}

TEST_CASE("fd passing: descriptors → arrive with the first bytes, close-on-exec") {
  auto pair = base::make_socket_pair();
  auto pipe = base::make_pipe();
  REQUIRE(pair.ok());
  REQUIRE(pipe.ok());
  const std::array<int, 2> fds = {pipe->first.get(), pipe->second.get()};
  REQUIRE(jail::send_with_fds(pair->first.get(), base::as_bytes("hello"), fds).ok());
  std::array<std::byte, 64> buffer{};
  std::vector<base::Fd> received;
  auto got = jail::receive_with_fds(pair->second.get(), buffer, received);
  REQUIRE(got.ok());
  CHECK(base::as_text(base::ByteView(buffer).first(*got)) == "hello");
  REQUIRE(received.size() == 2);
  CHECK((::fcntl(received[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("fd passing: too many descriptors → refused, none leaks") {
  auto pair = base::make_socket_pair();
  REQUIRE(pair.ok());
  const std::vector<int> fds(jail::kMaxPassedFds + 1, pair->first.get());
  CHECK_FALSE(jail::send_with_fds(pair->first.get(), base::as_bytes("x"), fds).ok());
}
