#include "devices/serial.hpp"

#include "fake_driver.hpp"

#include <doctest/doctest.h>

namespace pyro::devices {

namespace {

struct Fixture {
  test::FakeIrq irq;
  std::string printed;
  Serial serial{irq, [this](base::ByteView bytes) { printed += base::as_text(bytes); }};

  std::uint8_t in(std::uint64_t port) {
    std::byte value{};
    serial.read(port, {&value, 1});
    return static_cast<std::uint8_t>(value);
  }
  void out(std::uint64_t port, std::uint8_t value) {
    const std::byte byte{value};
    serial.write(port, {&byte, 1});
  }
};

}  // namespace

TEST_SUITE("devices") {
  TEST_CASE("serial: probed as Linux does → a 16550A with a FIFO") {
    Fixture f;
    f.out(1, 0);
    CHECK((f.in(1) & 0x0f) == 0);
    f.out(1, 0x0f);
    CHECK((f.in(1) & 0x0f) == 0x0f);
    f.out(1, 0x40);  // no sleep mode
    CHECK((f.in(1) & 0x40) == 0);
    f.out(4, 0x10 | 0x0a);
    CHECK((f.in(6) & 0xf0) == 0x90);
    f.out(4, 0);
    CHECK((f.in(6) & 0xf0) == 0xb0);
    f.out(2, 0x01);
    CHECK((f.in(2) & 0xc0) == 0xc0);
    f.out(3, 0xbf);
    CHECK(f.in(2) != 0);  // no extended features register
    f.out(3, 0);
    f.out(7, 0xa5);
    CHECK(f.in(7) == 0xa5);
  }

  TEST_CASE("serial: characters → to the sink, transmitter always ready, none in loop mode or as divisor") {
    Fixture f;
    for (const char c : std::string("hi\n")) {
      CHECK((f.in(5) & 0x60) == 0x60);
      f.out(0, static_cast<std::uint8_t>(c));
    }
    f.out(3, 0x80);
    f.out(0, 'D');
    CHECK(f.in(0) == 'D');
    f.out(3, 0);
    f.out(4, 0x10);
    f.out(0, 'L');
    CHECK(f.printed == "hi\n");
    CHECK(f.irq.raised == 0);
  }

  TEST_CASE("serial: with the transmit interrupt on → one edge until IIR is read, however many characters") {
    Fixture f;
    f.out(1, 0x02);
    CHECK(f.irq.raised == 1);
    CHECK((f.in(2) & 0x0f) == 0x02);
    CHECK((f.in(2) & 0x0f) == 0x01);
    for (int i = 0; i < 16; ++i) {
      f.out(0, 'x');
    }
    CHECK(f.irq.raised == 2);
    f.out(1, 0);
    CHECK((f.in(2) & 0x0f) == 0x01);
    f.out(1, 0x02);  // Linux tests that this raises again
    CHECK(f.irq.raised == 3);
    CHECK((f.in(2) & 0x0f) == 0x02);
  }

  TEST_CASE("serial: wide accesses → one to each port") {
    Fixture f;
    f.serial.write(0, base::as_bytes(std::string_view("A\0", 2)));
    CHECK(f.printed == "A");
    std::array<std::byte, 8> all{};
    f.serial.read(0, all);
    CHECK(all[5] == std::byte{0x60});
  }

  TEST_CASE("serial: saved and restored → the same registers; damaged → refused") {
    Fixture f;
    f.out(3, 0x80);
    f.out(0, 12);
    f.out(3, 0x03);
    f.out(7, 99);
    f.out(1, 0x02);
    base::Bytes saved = f.serial.save();
    Fixture g;
    REQUIRE(g.serial.restore(saved).ok());
    CHECK(g.serial.save() == saved);
    CHECK(g.in(7) == 99);
    CHECK((g.in(2) & 0x0f) == 0x02);
    CHECK_FALSE(g.serial.restore(base::ByteView(saved).first(saved.size() - 1)).ok());
    saved[0] = std::byte{0xff};
    CHECK_FALSE(g.serial.restore(saved).ok());
  }
}

}  // namespace pyro::devices
