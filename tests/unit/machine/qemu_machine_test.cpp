// The QEMU backend with an engine that is none: this very program, see play_engine().
#include "base/io.hpp"
#include "machine/machine.hpp"
#include "machine/qemu/qemu_command.hpp"
#include "memfd.hpp"

#include <chrono>
#include <cstring>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace pyro;

namespace {

// Before main() of the child that the backend starts: what QEMU says when it stops its VM.
[[gnu::constructor]] void play_engine(int argc, char** argv) {
  if (argc > 0 && std::strcmp(argv[0], "qemu-system-x86_64") == 0) {
    static constexpr std::string_view kStop = "{\"event\": \"STOP\"}\n";
    if (::write(machine::kQemuFdMonitor, kStop.data(), kStop.size()) > 0) {
      ::pause();
    }
    ::_exit(1);
  }
}

// Whether this process holds a lock on `file`: another one looks.
[[maybe_unused]] bool holds_lock(int file) {
  const pid_t looks = ::fork();
  if (looks == 0) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    ::_exit(::fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid == ::getppid() ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(looks, &status, 0) == looks);
  return status == 0;
}

}  // namespace

TEST_CASE("qemu machine: the engine stops the VM → that is its end, told once, with the engine still there") {
#ifdef __SANITIZE_ADDRESS__
  MESSAGE("skipped: an engine with a sanitizer does not fit its limit of address space");
#else
  machine::MachineConfig config;
  config.mem_mib = 128;
  config.disk_mib = 64;
  config.kernel = test::memfd_with("kernel");
  config.initramfs = test::memfd_with("modules");
  config.agent = test::memfd_with("agent");
  config.root = test::memfd_with("root");
  config.scratch = test::memfd_with("scratch");
  config.delta = test::memfd_with("");
  config.engine = base::Fd(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
  REQUIRE(config.engine.valid());
  config.lock = test::memfd_with("");
  config.slot = test::memfd_with("");
  const int locked[] = {config.lock.get(), config.slot.get()};
  for (const int file : locked) {
    struct flock lock {};
    lock.l_type = F_RDLCK;
    REQUIRE(::fcntl(file, F_SETLK, &lock) == 0);
  }
  boost::asio::io_context io;
  auto machine = machine::make_qemu_machine(io, std::move(config));
  std::vector<machine::MachineEnd> ends;
  const auto started = machine->start([&](machine::MachineEnd end) { ends.push_back(std::move(end)); });
  REQUIRE(started.ok());
  for (int i = 0; i < 500 && ends.empty(); ++i) {
    io.run_for(std::chrono::milliseconds(10));
  }
  io.run_for(std::chrono::milliseconds(50));
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].kind == machine::MachineEnd::Kind::engine_died);
  CHECK(ends[0].detail.find("stopped the VM") != std::string::npos);
  // Until the end is written down.
  CHECK(holds_lock(locked[0]));
  CHECK(holds_lock(locked[1]));
#endif
}
