// pyro-vm: supervises one microVM. Started by libpyro with an empty environment, no arguments and a
// control socket as standard input; `pyro-vm --probe` tells what /dev/kvm is worth,
// `pyro-vm --jail-test` shows what its jail forbids.
#include "base/build_id.hpp"
#include "jail/confine.hpp"
#include "supervisor/jail_test.hpp"
#include "supervisor/supervisor.hpp"
#include "vmm/probe.hpp"

#include <csignal>
#include <cstdio>
#include <string_view>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>

#ifdef __SANITIZE_ADDRESS__
// LeakSanitizer stops the process by ptrace when it ends: the jail forbids that.
extern "C" const char* __asan_default_options() {
  return "detect_leaks=0";
}
#endif

namespace {

int probe() {
  const auto result = pyro::vmm::probe_kvm();
  if (!result.ok()) {
    std::fprintf(stderr, "pyro-vm: %s\n", result.error().message.c_str());
    return 1;
  }
  const boost::json::value line = {{"kvm", pyro::vmm::kvm_state_name(result->state)}, {"detail", result->detail}};
  std::printf("%s\n", boost::json::serialize(line).c_str());
  return 0;
}

// Leaves the client's world behind, as far as that is not the jail's work (jail/confine.hpp).
void detach() {
  ::umask(077);
  std::signal(SIGPIPE, SIG_IGN);
  // A file that has reached its limit gives an error.
  std::signal(SIGXFSZ, SIG_IGN);
  if (::chdir("/") != 0) {
    std::perror("pyro-vm: chdir");
  }
}

bool is_stream_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof(type);
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

// The control socket moves off 0, so that standard input is /dev/null for whoever comes to read it.
pyro::base::Fd take_control_socket() {
  pyro::base::Fd socket(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  const pyro::base::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid() || ::dup2(null.get(), STDIN_FILENO) < 0) {
    return {};
  }
  return socket;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view option = argc > 1 ? argv[1] : "";
  if (option == "--probe") {
    return probe();
  }
  if (option == "--version") {
    std::printf("pyro-vm %s\n", pyro::base::build_id());
    return 0;
  }
  if (option == "--jail-test") {
    return pyro::supervisor::jail_test({argv + 2, argv + argc});
  }
  // For a VM that outlives its client: what runs it is nobody's child, so that nobody has to wait for it.
  const bool detached = option == "--detach" && argc == 2;
  if (detached && ::fork() != 0) {
    ::_exit(0);
  }
  if ((argc > 1 && !detached) || !is_stream_socket(STDIN_FILENO)) {
    std::fprintf(stderr, "pyro-vm is started by libpyro; by hand only: pyro-vm --probe | --version\n");
    return 2;
  }
  detach();
  try {
    pyro::base::Fd client = take_control_socket();
    if (!client.valid()) {
      return 1;
    }
    // Closes what it does not know: nothing else may own a descriptor yet.
    const auto early = pyro::jail::confine_early(client.get());
    const auto confined = early.ok() ? pyro::base::success() : pyro::base::Status(early.error());
    boost::asio::io_context io(1);
    pyro::supervisor::Supervisor(io, std::move(client), confined).run();
    return 0;
  } catch (...) {
    // Out of memory or descriptors: the client sees its socket close and says so.
    return 1;
  }
}
