#include "devices/bus.hpp"

#include <algorithm>
#include <array>

#include <doctest/doctest.h>

namespace pyro::devices {

namespace {

// Remembers the last access.
class Recorder final : public MmioDevice {
 public:
  void read(std::uint64_t offset, std::span<std::byte> data) noexcept override {
    last_offset = offset;
    last_size = data.size();
    std::fill(data.begin(), data.end(), std::byte{0x5a});
  }
  void write(std::uint64_t offset, base::ByteView data) noexcept override {
    last_offset = offset;
    last_size = data.size();
    ++writes;
  }
  std::uint64_t last_offset = ~std::uint64_t{0};
  std::size_t last_size = 0;
  int writes = 0;
};

std::array<std::byte, 8> read(const Bus& bus, std::uint64_t address, std::size_t size) {
  std::array<std::byte, 8> data{};
  bus.read(address, std::span(data).first(size));
  return data;
}

}  // namespace

TEST_SUITE("devices") {
  TEST_CASE("bus: an access inside a device → reaches it with its offset, at any width and alignment") {
    Bus bus;
    Recorder low;
    Recorder high;
    REQUIRE(bus.add(0x2000, 0x100, high, "high").ok());
    REQUIRE(bus.add(0x1000, 0x1000, low, "low").ok());
    for (std::size_t size = 1; size <= 8; ++size) {
      for (std::uint64_t offset = 0; offset < 16; ++offset) {
        CHECK(read(bus, 0x2000 + offset, size)[size - 1] == std::byte{0x5a});
        CHECK(high.last_offset == offset);
        CHECK(high.last_size == size);
      }
    }
    bus.write(0x1fff, base::as_bytes("x"));
    CHECK(low.last_offset == 0xfff);
    CHECK(low.writes == 1);
  }

  TEST_CASE("bus: an access that nobody claims as a whole → all ones, and nothing is written") {
    Bus bus;
    Recorder device;
    REQUIRE(bus.add(0x1000, 0x10, device, "device").ok());
    for (const std::uint64_t address : {0xfffUL, 0x100fUL, 0x1010UL, 0UL, ~0UL}) {
      CHECK(read(bus, address, 2)[0] == std::byte{0xff});
      CHECK(read(bus, address, 2)[1] == std::byte{0xff});
      bus.write(address, base::as_bytes("xy"));
    }
    std::array<std::byte, 16> wide{};
    bus.read(0x1000, wide);
    CHECK(wide[15] == std::byte{0xff});
    bus.write(0x1000, {});
    CHECK(device.writes == 0);
    CHECK(device.last_size == 0);
  }

  TEST_CASE("bus: ranges that are empty, wrap or overlap → refused") {
    Bus bus;
    Recorder device;
    REQUIRE(bus.add(0x1000, 0x10, device, "device").ok());
    CHECK_FALSE(bus.add(0x2000, 0, device, "device").ok());
    CHECK_FALSE(bus.add(0x100f, 1, device, "device").ok());
    CHECK_FALSE(bus.add(0xff0, 0x11, device, "device").ok());
    CHECK_FALSE(bus.add(0xff0, 0x1000, device, "device").ok());
    CHECK_FALSE(bus.add(~std::uint64_t{0}, 2, device, "device").ok());
    CHECK(bus.add(~std::uint64_t{0}, 1, device, "device").ok());
    CHECK(bus.add(0xff0, 0x10, device, "device").ok());
    CHECK(bus.add(0x1010, 0x10, device, "device").ok());
    CHECK(read(bus, ~std::uint64_t{0}, 1)[0] == std::byte{0x5a});
  }
}

}  // namespace pyro::devices
