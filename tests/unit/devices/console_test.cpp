#include "devices/virtio/console.hpp"

#include "devices/virtio/mmio_transport.hpp"
#include "fake_driver.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace pyro::devices::virtio {

namespace {

constexpr std::uint64_t kBuffer = 0x200000;
constexpr std::uint64_t kControl = 0x280000;

struct ConsoleFixture {
  ConsoleFixture() { start(); }

  // As Linux: buffers for control messages, then DEVICE_READY.
  void start() {
    REQUIRE(driver.start());
    for (std::uint32_t i = 0; i < 8; ++i) {
      driver.add(2, {{kControl + i * 0x100, 0x100, true}});
    }
    control_taken = 0;
  }
  void tell(std::uint32_t id, std::uint16_t event, std::uint16_t value) {
    driver.poke(kControl - 16, id);
    driver.poke(kControl - 12, event);
    driver.poke(kControl - 10, value);
    driver.add(3, {{kControl - 16, 8}});
    driver.kick(3);
    while (driver.take(3)) {
    }
  }
  // The next control message as text: event, value, what follows. Its buffer goes back.
  std::string told() {
    const auto used = driver.take(2);
    if (!used) {
      return "";
    }
    const std::uint64_t at = kControl + control_taken++ % 8 * 0x100;
    CHECK(driver.peek<std::uint32_t>(at) == 1);
    driver.add(2, {{at, 0x100, true}});
    return fmt::format("{} {} {}", driver.peek<std::uint16_t>(at + 4), driver.peek<std::uint16_t>(at + 6),
                       driver.peek_text(at + 8, used->written - 8));
  }
  void open_port() {
    tell(0, 0, 1);
    tell(1, 3, 1);
    tell(1, 6, 1);
    while (!told().empty()) {
    }
  }
  void add_receive_buffer(std::uint32_t size = 16) { driver.add(4, {{kBuffer + 0x1000 * added++, size, true}}); }
  std::string received() {
    const auto used = driver.take(4);
    return used ? driver.peek_text(kBuffer + 0x1000 * taken++, used->written) : "";
  }
  void guest_writes(std::string_view text) {
    driver.poke_text(kBuffer + 0x70000, text);
    driver.add(5, {{kBuffer + 0x70000, static_cast<std::uint32_t>(text.size())}});
    driver.kick(5);
  }
  std::size_t send(std::string_view text) { return console().send(base::as_bytes(text)); }
  Console& console() { return static_cast<Console&>(transport.device()); }

  ConsoleHost host() {
    return {[this](base::ByteView bytes) {
              const std::size_t take = std::min(bytes.size(), room);
              output += base::as_text(bytes.first(take));
              room -= take;
              if (on_output) {
                on_output();
              }
              return take;
            },
            [this] {
              ++writable;
              if (on_writable) {
                on_writable();
              }
            },
            [this](bool open) { opened += open ? "o" : "c"; }};
  }

  memory::GuestMemory memory = test::make_memory();
  test::FakeIrq irq;
  std::string output;
  std::string opened;
  std::size_t room = 1 << 20;
  int writable = 0;
  std::function<void()> on_output;
  std::function<void()> on_writable;
  MmioTransport transport{memory, irq, std::make_unique<Console>("pyro.agent", host()), {}};
  test::FakeDriver driver{memory, transport};
  std::uint64_t added = 0;
  std::uint64_t taken = 0;
  std::uint64_t control_taken = 0;
};

}  // namespace

TEST_SUITE("devices") {
  TEST_CASE("virtio-console: the handshake → port 1 with its name, open when the host is") {
    ConsoleFixture f;
    CHECK(f.driver.config<std::uint32_t>(4) == 2);
    CHECK((f.driver.offered() & 2) != 0);
    f.tell(0, 0, 1);
    CHECK(f.told() == "1 1 ");
    f.tell(1, 3, 1);
    CHECK(f.told() == "7 1 pyro.agent");
    CHECK(f.told() == "6 0 ");
    f.console().set_connected(true);
    CHECK(f.told() == "6 1 ");
    f.tell(1, 6, 1);
    CHECK(f.console().guest_open());
    CHECK(f.opened == "o");
    f.tell(1, 6, 0);
    CHECK(f.opened == "oc");
    f.console().set_connected(false);
    CHECK(f.told() == "6 0 ");
    CHECK(f.told().empty());
  }

  TEST_CASE("virtio-console: control messages without buffers → kept, each once, and sent when there are some") {
    ConsoleFixture f;
    REQUIRE(f.driver.start());
    for (int i = 0; i < 1000; ++i) {
      f.tell(0, 0, 1);
      f.tell(1, 3, 1);
    }
    f.control_taken = 0;
    f.console().set_connected(true);
    for (std::uint32_t i = 0; i < 8; ++i) {
      f.driver.add(2, {{kControl + i * 0x100, 0x100, true}});
    }
    f.driver.kick(2);
    CHECK(f.told() == "1 1 ");
    CHECK(f.told() == "7 1 pyro.agent");
    CHECK(f.told() == "6 1 ");
    CHECK(f.told().empty());
  }

  TEST_CASE("virtio-console: control messages that make no sense → ignored") {
    ConsoleFixture f;
    f.tell(7, 3, 1);
    f.tell(7, 6, 1);
    f.tell(1, 99, 1);
    f.tell(0, 0, 0);
    f.driver.add(3, {{kControl, 3}});
    f.driver.add(3, {{kControl, 8, true}});
    f.driver.kick(3);
    CHECK_FALSE(f.console().guest_open());
    CHECK(f.told().empty());
    CHECK_FALSE(f.driver.broken());
  }

  TEST_CASE("virtio-console: host to guest → as much as the guest has buffers for, the rest when it has more") {
    ConsoleFixture f;
    f.console().set_connected(true);
    f.open_port();
    f.add_receive_buffer(4);
    f.add_receive_buffer(4);
    CHECK(f.send("0123456789") == 8);
    CHECK(f.received() == "0123");
    CHECK(f.received() == "4567");
    CHECK(f.writable == 0);
    f.on_writable = [&f] { CHECK(f.send("89") == 2); };
    f.add_receive_buffer();
    f.driver.kick(4);
    CHECK(f.writable == 1);
    CHECK(f.received() == "89");
    f.add_receive_buffer();
    f.driver.kick(4);
    CHECK(f.writable == 1);  // nobody waits
  }

  TEST_CASE("virtio-console: sending to a port that is closed → nothing; when the guest opens it → writable") {
    ConsoleFixture f;
    f.console().set_connected(true);
    f.add_receive_buffer();
    CHECK(f.send("early") == 0);
    CHECK(f.writable == 0);
    f.open_port();
    CHECK(f.writable == 1);
    CHECK(f.send("now") == 3);
    f.console().set_connected(false);
    CHECK(f.send("gone") == 0);
  }

  TEST_CASE("virtio-console: doorbells for new buffers → asked for only when the host waits for some") {
    ConsoleFixture f;
    f.console().set_connected(true);
    f.open_port();
    const auto& ring = f.driver.rings[4];
    f.add_receive_buffer();
    f.add_receive_buffer();
    const auto before = f.driver.avail_event(ring);
    CHECK(f.send("one") == 3);
    CHECK(f.driver.avail_event(ring) == before);
    CHECK(f.send("a text that is longer than what is left") == 16);
    CHECK(f.driver.avail_event(ring) == 2);
  }

  TEST_CASE("virtio-console: guest to host → everything in order, and what the host does not take waits") {
    ConsoleFixture f;
    f.console().set_connected(true);
    f.open_port();
    f.guest_writes("hello ");
    CHECK(f.output == "hello ");
    CHECK(f.driver.take(5));
    f.room = 3;
    f.guest_writes("world");
    CHECK(f.output == "hello wor");
    CHECK_FALSE(f.driver.take(5));
    f.driver.kick(5);  // does not help
    CHECK(f.output == "hello wor");
    f.room = 1;
    f.console().resume_output();
    CHECK(f.output == "hello worl");
    f.room = 100;
    f.console().resume_output();
    CHECK(f.output == "hello world");
    CHECK(f.driver.take(5));
  }

  TEST_CASE("virtio-console: the host answers and resumes from inside output → as from outside") {
    ConsoleFixture f;
    f.console().set_connected(true);
    f.open_port();
    f.add_receive_buffer();
    f.room = 2;
    f.on_output = [&f] {
      f.room = 2;
      f.console().resume_output();
      if (f.output.size() == 4) {
        CHECK(f.send("pong") == 4);
      }
    };
    f.guest_writes("ping!");
    CHECK(f.output == "ping!");
    CHECK(f.driver.take(5));
    CHECK(f.received() == "pong");
  }

  TEST_CASE("virtio-console: the host's end closed → what the guest writes is dropped, and it does not hang") {
    ConsoleFixture f;
    f.open_port();
    f.guest_writes("lost");
    CHECK(f.output.empty());
    CHECK(f.driver.take(5));
    f.console().set_connected(true);
    f.room = 1;
    f.guest_writes("kept until closed");
    CHECK_FALSE(f.driver.take(5));
    f.console().set_connected(false);
    CHECK(f.driver.take(5));
    f.driver.add(1, {{kBuffer, 5}});
    f.driver.kick(1);
    CHECK(f.driver.take(1));  // port 0
  }

  TEST_CASE("virtio-console: a reset → the port is closed and the handshake begins again") {
    ConsoleFixture f;
    f.console().set_connected(true);
    f.open_port();
    f.room = 2;
    f.guest_writes("lost");
    f.driver.set(0x70, 0);
    CHECK_FALSE(f.console().guest_open());
    CHECK(f.opened == "oc");
    CHECK(f.send("x") == 0);
    f.room = 100;
    f.start();
    f.open_port();
    f.guest_writes("new");
    CHECK(f.output == "lonew");
  }

  TEST_CASE("virtio-console: a receive buffer that cannot be written → needs reset") {
    ConsoleFixture f;
    f.console().set_connected(true);
    f.open_port();
    f.driver.add(4, {{kBuffer, 4}});
    CHECK(f.send("text") == 0);
    CHECK(f.driver.broken());
  }

  TEST_CASE("virtio-console: a receive buffer with a part to read from → needs reset") {
    ConsoleFixture f;
    f.console().set_connected(true);
    f.open_port();
    f.driver.add(4, {{kBuffer, 4}, {kBuffer + 0x100, 4, true}});
    CHECK(f.send("text") == 0);
    CHECK(f.driver.broken());
  }

  TEST_CASE("virtio-console: saved in the middle of a write → the rest arrives after restoring") {
    ConsoleFixture f;
    f.console().set_connected(true);
    f.open_port();
    f.room = 4;
    f.guest_writes("half done");
    const base::Bytes saved = f.transport.save();
    std::string rest;
    int writable = 0;
    MmioTransport other(f.memory, f.irq,
                        std::make_unique<Console>("pyro.agent", ConsoleHost{[&rest](base::ByteView bytes) {
                                                                              rest += base::as_text(bytes);
                                                                              return bytes.size();
                                                                            },
                                                                            [&writable] { ++writable; },
                                                                            {}}),
                        {});
    REQUIRE(other.restore(saved).ok());
    auto& console = static_cast<Console&>(other.device());
    CHECK(console.guest_open());
    console.set_connected(true);
    other.kick_all();
    CHECK(rest == " done");
    CHECK(writable == 1);
  }
}

}  // namespace pyro::devices::virtio
