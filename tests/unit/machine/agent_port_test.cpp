#include "machine/kvm/agent_port.hpp"

#include "base/io.hpp"

#include <optional>

#include <doctest/doctest.h>
#include <unistd.h>

using namespace pyro;

namespace {

struct Fixture {
  Fixture() {
    auto made = base::make_socket_pair();
    REQUIRE(made.ok());
    supervisor = std::move(made->first);
    port.emplace(io, std::move(made->second));
    port->attach(console);
  }

  boost::asio::io_context io;
  base::Fd supervisor;
  devices::virtio::Console console{"test", {[](base::ByteView bytes) { return bytes.size(); }, [] {}, {}}};
  std::optional<machine::AgentPort> port;
};

}  // namespace

// What a sanitizer would see: the aborted waits complete when the port is gone.
TEST_CASE("agent port: destroyed while it waits to read and to write → its waits touch nothing") {
  Fixture f;
  const base::Bytes bytes(64 * 1024);
  while (f.port->take(bytes) == bytes.size()) {
  }
  f.port.reset();
  f.io.poll();
}

TEST_CASE("agent port: the supervisor's end closed → what the guest still says is taken, and dropped") {
  Fixture f;
  f.supervisor.reset();
  f.io.poll();
  const base::Bytes bytes(1000);
  CHECK(f.port->take(bytes) == bytes.size());
  CHECK(f.port->take(bytes) == bytes.size());
}

TEST_CASE("agent port: a supervisor that does not read → a part is taken, the rest when it reads") {
  Fixture f;
  const base::Bytes bytes(64 * 1024);
  std::size_t taken = 0;
  std::size_t last = 0;
  while ((last = f.port->take(bytes)) == bytes.size()) {
    taken += last;
  }
  taken += last;
  std::size_t read = 0;
  base::Bytes buffer(64 * 1024);
  while (read < taken) {
    const ssize_t got = ::read(f.supervisor.get(), buffer.data(), buffer.size());
    REQUIRE(got > 0);
    read += static_cast<std::size_t>(got);
  }
  CHECK(read == taken);
  CHECK(f.port->take(bytes) > 0);
}
