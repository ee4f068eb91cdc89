// pyro-agent: PID 1 of a guest.
#include "base/clock.hpp"
#include "guest/agent.hpp"
#include "guest/console.hpp"

#include <poll.h>
#include <sys/reboot.h>
#include <unistd.h>

namespace {

using namespace pyro;

// How long the supervisor may take to read why the guest ends.
constexpr std::int64_t kLastWordsMs = 1000;

// A process 1 must not return: the kernel would panic. QEMU runs with -no-reboot: a restart ends the machine.
[[noreturn]] void end_machine(int how) {
  ::reboot(how);
  while (true) {
    ::pause();
  }
}

[[noreturn]] void fail(const base::Error& error, guest::Link* link) {
  guest::console_line(error.message);
  if (link != nullptr) {
    wire::Failed failed;
    failed.code = error.code;
    failed.message = error.message;
    link->send_control(wire::message_frame(wire::FrameType::failed, 0, failed));
    const std::int64_t deadline_ms = base::monotonic_ms() + kLastWordsMs;
    while (link->flush().ok() && link->pending_bytes() > 0 && base::monotonic_ms() < deadline_ms) {
      pollfd port{link->fd(), POLLOUT, 0};
      ::poll(&port, 1, static_cast<int>(kLastWordsMs));
    }
  }
  end_machine(RB_AUTOBOOT);
}

}  // namespace

int main() {
  guest::Machine machine;
  const auto booted = guest::boot(machine);
  if (!machine.port.valid()) {
    fail(booted.ok() ? base::Error{} : booted.error(), nullptr);
  }
  guest::Link link(std::move(machine.port));
  if (!booted.ok()) {
    fail(booted.error(), &link);
  }
  auto epoll = guest::EventLoop::create_epoll();
  if (!epoll.ok()) {
    fail(epoll.error(), &link);
  }
  guest::Agent agent(std::move(machine), link, std::move(epoll).value());
  const auto served = agent.serve();
  if (!served.ok()) {
    fail(served.error(), &link);
  }
  agent.shut_down();
  end_machine(RB_POWER_OFF);
}
