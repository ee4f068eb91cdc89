// pyro-vm: supervises one microVM. Started by libpyro with an empty environment, no arguments and a
// control socket as standard input; `pyro-vm --probe` tells what /dev/kvm is worth.
#include "base/build_id.hpp"
#include "supervisor/supervisor.hpp"
#include "vmm/probe.hpp"

#include <csignal>
#include <cstdio>
#include <string_view>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/json.hpp>

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

// Leaves the client's world behind: stray descriptors, working directory, umask, and whatever a
// debugger of the same user could read from this process.
void detach() {
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::umask(077);
  std::signal(SIGPIPE, SIG_IGN);
  if (::chdir("/") != 0) {
    std::perror("pyro-vm: chdir");
  }
}

bool is_stream_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof(type);
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
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
  if (argc > 1 || !is_stream_socket(STDIN_FILENO)) {
    std::fprintf(stderr, "pyro-vm is started by libpyro; by hand only: pyro-vm --probe | --version\n");
    return 2;
  }
  detach();
  try {
    // The control socket moves off 0, so that standard input is /dev/null for whoever comes to read it.
    pyro::base::Fd client(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    const pyro::base::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!client.valid() || !null.valid() || ::dup2(null.get(), STDIN_FILENO) < 0) {
      return 1;
    }
    boost::asio::io_context io(1);
    pyro::supervisor::Supervisor(io, std::move(client)).run();
    return 0;
  } catch (...) {
    // Out of memory or descriptors: the client sees its socket close and says so.
    return 1;
  }
}
