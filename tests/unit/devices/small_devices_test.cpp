// rng, net, pmem and balloon.
#include "devices/virtio/balloon.hpp"
#include "devices/virtio/mmio_transport.hpp"
#include "devices/virtio/net.hpp"
#include "devices/virtio/pmem.hpp"
#include "devices/virtio/rng.hpp"
#include "fake_driver.hpp"
#include "state/snapshot.hpp"

#include <algorithm>

#include <doctest/doctest.h>

namespace pyro::devices::virtio {

namespace {

constexpr std::uint64_t kDeviceBuffer = 0x200000;
// Of the transport's saved state: device id, status, interrupts, and then this.
constexpr std::ptrdiff_t kGenerationAt = 12;

struct DeviceFixture {
  explicit DeviceFixture(std::unique_ptr<Device> device = nullptr)
      : transport(memory, irq, device != nullptr ? std::move(device) : std::make_unique<Balloon>(memory), {}) {
    REQUIRE(driver.start());
  }
  Balloon& balloon() { return static_cast<Balloon&>(transport.device()); }
  std::optional<test::Used> request(std::uint32_t queue, const std::vector<test::Piece>& pieces) {
    driver.add(queue, pieces);
    driver.kick(queue);
    return driver.take(queue);
  }

  memory::GuestMemory memory = test::make_memory();
  test::FakeIrq irq;
  MmioTransport transport;
  test::FakeDriver driver{memory, transport};
};

}  // namespace

TEST_SUITE("devices") {
  TEST_CASE("virtio-rng: room for bytes → filled, at most a page per request") {
    DeviceFixture f(std::make_unique<Rng>());
    CHECK(f.request(0, {{kDeviceBuffer, 64, true}})->written == 64);
    CHECK(f.driver.peek_text(kDeviceBuffer, 64) != std::string(64, '\0'));
    CHECK(f.request(0, {{kDeviceBuffer, 100000, true}, {kDeviceBuffer, 10, true}})->written == kMaxRandomBytes);
    CHECK(f.driver.peek_text(kDeviceBuffer + kMaxRandomBytes, 64) == std::string(64, '\0'));
    CHECK(f.irq.raised == 1);  // used_event was not moved
    CHECK_FALSE(f.request(0, {{kDeviceBuffer, 64}}));
    CHECK(f.driver.broken());
  }

  TEST_CASE("virtio-net: link down → a MAC address, no status bit; what is sent is dropped, nothing arrives") {
    DeviceFixture f(std::make_unique<Net>(MacAddress{2, 0, 0, 0, 0, 1}));
    CHECK(f.driver.config<std::uint8_t>(0) == 2);
    CHECK(f.driver.config<std::uint8_t>(5) == 1);
    CHECK(f.driver.config<std::uint16_t>(6) == 0);
    CHECK((f.driver.offered() & (1 << 5 | 1 << 16)) == (1 << 5 | 1 << 16));
    CHECK_FALSE(f.request(0, {{kDeviceBuffer, 1526, true}}));
    CHECK(f.request(1, {{kDeviceBuffer, 1526}})->written == 0);
  }

  TEST_CASE("virtio-pmem: its range, and a flush → done; anything else → failed; no room for an answer → broken") {
    DeviceFixture f(std::make_unique<Pmem>(memory::Range{0x100000000, 0x200000}));
    CHECK(f.driver.config<std::uint64_t>(0) == 0x100000000);
    CHECK(f.driver.config<std::uint64_t>(8) == 0x200000);
    f.driver.poke(kDeviceBuffer + 4, std::uint32_t{99});
    CHECK(f.request(0, {{kDeviceBuffer, 4}, {kDeviceBuffer + 4, 4, true}})->written == 4);
    CHECK(f.driver.peek<std::uint32_t>(kDeviceBuffer + 4) == 0);
    f.driver.poke(kDeviceBuffer, std::uint32_t{1});
    CHECK(f.request(0, {{kDeviceBuffer, 4}, {kDeviceBuffer + 4, 4, true}}));
    CHECK(f.driver.peek<std::uint32_t>(kDeviceBuffer + 4) != 0);
    CHECK_FALSE(f.request(0, {{kDeviceBuffer, 4}, {kDeviceBuffer + 4, 3, true}}));
    CHECK(f.driver.broken());
  }

  TEST_CASE("virtio-balloon: reported ranges, on either number of the queue → pages are given back") {
    for (const std::uint32_t queue : {2U, 4U}) {
      DeviceFixture f;
      f.driver.poke(kDeviceBuffer, std::uint64_t{1});
      f.driver.poke(kDeviceBuffer + 0x10000, std::uint64_t{2});
      CHECK(f.request(queue, {{kDeviceBuffer, 0x1000, true}, {kDeviceBuffer + 0x10000, 0x2000, true}}));
      CHECK(f.driver.peek<std::uint64_t>(kDeviceBuffer) == 0);
      CHECK(f.driver.peek<std::uint64_t>(kDeviceBuffer + 0x10000) == 0);
      CHECK(f.balloon().discarded_bytes() == 0x3000);
    }
  }

  TEST_CASE("virtio-balloon: one report of far more than Linux reports → what goes beyond stays with the guest") {
    constexpr std::uint64_t kMib = 1 << 20;
    const memory::Range large{0, 256 * kMib};
    auto memory = memory::GuestMemory::create({&large, 1}, memory::GuestMemory::Backing::anonymous);
    REQUIRE(memory.ok());
    test::FakeIrq irq;
    MmioTransport transport(*memory, irq, std::make_unique<Balloon>(*memory), {});
    test::FakeDriver driver(*memory, transport);
    REQUIRE(driver.start());
    driver.poke(16 * kMib, std::uint64_t{1});
    driver.poke(200 * kMib, std::uint64_t{2});
    const std::uint32_t most = 96 * kMib;
    driver.add(4, {{16 * kMib, most, true}, {112 * kMib, most, true}});
    driver.kick(4);
    REQUIRE(driver.take(4));
    CHECK(driver.peek<std::uint64_t>(16 * kMib) == 0);
    CHECK(driver.peek<std::uint64_t>(200 * kMib) == 2);
    CHECK(static_cast<Balloon&>(transport.device()).discarded_bytes() == 128 * kMib);
  }

  TEST_CASE("virtio-balloon: inflated → those pages are given back, page numbers outside of memory do nothing") {
    DeviceFixture f;
    for (std::uint64_t page = 0x300; page < 0x304; ++page) {
      f.driver.poke(page << 12, std::uint64_t{7});
    }
    const std::array<std::uint32_t, 6> pages{0x300, 0x301, 0x303, 0xffffffff, 0xfffffffe, 0x400};
    REQUIRE(f.memory.write(kDeviceBuffer, std::as_bytes(std::span(pages))));
    CHECK(f.request(0, {{kDeviceBuffer, 24}}));
    CHECK(f.driver.peek<std::uint64_t>(0x300000) == 0);
    CHECK(f.driver.peek<std::uint64_t>(0x301000) == 0);
    CHECK(f.driver.peek<std::uint64_t>(0x302000) == 7);
    CHECK(f.driver.peek<std::uint64_t>(0x303000) == 0);
    CHECK(f.balloon().discarded_bytes() == 0x3000);
    CHECK(f.request(1, {{kDeviceBuffer, 24}}));
    CHECK_FALSE(f.driver.broken());
  }

  TEST_CASE("virtio-balloon: a target of the host's → shows in the configuration, with an interrupt") {
    DeviceFixture f;
    f.balloon().set_target_pages(1000);
    CHECK(f.irq.raised == 1);
    CHECK(f.driver.config<std::uint32_t>(0) == 1000);
    f.balloon().set_target_pages(1000);
    CHECK(f.irq.raised == 1);
    f.driver.set(0x104, 500);
    CHECK(f.balloon().actual_pages() == 500);
    f.driver.set(0x100, 1);  // not the driver's to write
    CHECK(f.driver.config<std::uint32_t>(0) == 1000);
  }

  TEST_CASE("virtio devices: saved into a snapshot and restored → the same state, and another device is refused") {
    const auto make = [](int kind, const memory::GuestMemory& memory) -> std::unique_ptr<Device> {
      switch (kind) {
        case 0:
          return std::make_unique<Rng>();
        case 1:
          return std::make_unique<Net>(MacAddress{2});
        case 2:
          return std::make_unique<Pmem>(memory::Range{0x100000000, 0x200000});
        default:
          return std::make_unique<Balloon>(memory);
      }
    };
    const memory::GuestMemory balloon_memory = test::make_memory();
    for (int kind = 0; kind < 4; ++kind) {
      DeviceFixture f(make(kind, balloon_memory));
      f.driver.add(0, {{kDeviceBuffer, 4}, {kDeviceBuffer + 16, 64, true}});
      f.driver.kick(0);
      f.driver.set(0x104, 77);
      REQUIRE(f.driver.start());
      state::SnapshotWriter writer;
      REQUIRE(writer.add(1, MmioTransport::kStateVersion, f.transport.save()).ok());
      const base::Bytes snapshot = std::move(writer).finish();
      const auto reader = state::SnapshotReader::parse(snapshot);
      REQUIRE(reader.ok());
      for (int other = 0; other < 4; ++other) {
        MmioTransport restored(f.memory, f.irq, make(other, balloon_memory), {});
        const auto section = reader->section(1, MmioTransport::kStateVersion, "device");
        REQUIRE(section.ok());
        CHECK(restored.restore(*section).ok() == (kind == other));
        if (kind == other) {
          CHECK(restored.save() == f.transport.save());
          const base::Bytes as_new = MmioTransport(f.memory, f.irq, make(other, balloon_memory), {}).save();
          base::Bytes longer = f.transport.save();
          longer.push_back(std::byte{0});
          MmioTransport refused(f.memory, f.irq, make(other, balloon_memory), {});
          CHECK_FALSE(refused.restore(longer).ok());
          // Only the number that says that the configuration changed goes on.
          base::Bytes left = refused.save();
          std::copy_n(as_new.begin() + kGenerationAt, 4, left.begin() + kGenerationAt);
          CHECK(left == as_new);
        }
      }
    }
    DeviceFixture f(std::make_unique<Pmem>(memory::Range{0x100000000, 0x200000}));
    MmioTransport moved(f.memory, f.irq, std::make_unique<Pmem>(memory::Range{0x200000000, 0x200000}), {});
    CHECK_FALSE(moved.restore(f.transport.save()).ok());
  }
}

}  // namespace pyro::devices::virtio
