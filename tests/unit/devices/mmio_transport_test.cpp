#include "devices/virtio/mmio_transport.hpp"

#include "base/clock.hpp"
#include "fake_driver.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include <doctest/doctest.h>

namespace pyro::devices::virtio {

namespace {

// Copies what the driver wrote back to it. Queue 1 waits inside a request until it is let go.
class Echo final : public Device {
 public:
  std::uint32_t device_id() const noexcept override { return 42; }
  std::uint64_t features() const noexcept override { return 0x3; }
  std::span<const std::uint16_t> queue_sizes() const noexcept override {
    static constexpr std::array<std::uint16_t, 2> kSizes{16, 8};
    return kSizes;
  }
  void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override {
    copy_config(base::as_bytes("configuration"), offset, data);
  }
  void write_config(std::uint64_t offset, base::ByteView data) noexcept override {
    config_written = offset * 100 + data.size();
  }
  void reset() noexcept override { ++resets; }
  void process_queue(std::uint16_t index) noexcept override {
    CHECK(workers.fetch_add(1) == 0);
    if (Queue* queue = transport().queue(index)) {
      serve_queue(*queue, [this, index, queue](const Chain& chain) {
        if (index == 1) {
          waiting.store(true);
          while (!let_go.load()) {
            std::this_thread::yield();
          }
        }
        std::array<std::byte, 64> bytes{};
        const std::size_t size = chain.copy_out(0, bytes);
        queue->push(chain, static_cast<std::uint32_t>(chain.copy_in(0, base::ByteView(bytes).first(size))));
        served.fetch_add(1);
        if (on_served) {
          on_served();
        }
      });
    }
    workers.fetch_sub(1);
  }
  void save(base::ByteWriter& out) const override { out.u32(7); }
  base::Status restore(base::ByteReader& in) override {
    return in.u32() == 7 ? base::success() : base::make_error(PYRO_ERROR_INVALID, "not 7");
  }

  std::atomic<int> workers{0};
  std::atomic<int> served{0};
  std::atomic<int> resets{0};
  std::atomic<bool> waiting{false};
  std::atomic<bool> let_go{false};
  std::function<void()> on_served;
  std::uint64_t config_written = 0;
};

struct TransportFixture {
  explicit TransportFixture(std::function<void(std::uint16_t)> kick = {}) : kick_function(std::move(kick)) {}

  Echo& echo() { return static_cast<Echo&>(transport.device()); }
  // Echoes a word over queue 0.
  bool echo_works() {
    driver.poke_text(0x200000, "word");
    driver.poke_text(0x201000, "....");
    driver.add(0, {{0x200000, 4}, {0x201000, 4, true}});
    driver.kick(0);
    const auto used = driver.take(0);
    return used && used->written == 4 && driver.peek_text(0x201000, 4) == "word";
  }

  std::function<void(std::uint16_t)> kick_function;
  memory::GuestMemory memory = test::make_memory();
  test::FakeIrq irq;
  std::vector<std::string> faults;
  MmioTransport transport{memory, irq, std::make_unique<Echo>(), {kick_function, [this](std::string_view why) {
                                                                    faults.emplace_back(why);
                                                                  }}};
  test::FakeDriver driver{memory, transport};
};

}  // namespace

TEST_SUITE("devices") {
  TEST_CASE("virtio-mmio: identification → as the specification has it") {
    TransportFixture f;
    CHECK(f.driver.get(0x000) == 0x74726976);
    CHECK(f.driver.get(0x004) == 2);
    CHECK(f.driver.get(0x008) == 42);
    CHECK(f.driver.offered() == (3 | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX));
    f.driver.set(0x14, 2);
    CHECK(f.driver.get(0x10) == 0);
    f.driver.set(0x30, 1);
    CHECK(f.driver.get(0x34) == 8);
    f.driver.set(0x30, 2);
    CHECK(f.driver.get(0x34) == 0);
    CHECK(f.driver.get(0xb0) == 0xffffffff);
  }

  TEST_CASE("virtio-mmio: a driver that follows the rules → is served, interrupted, and sees the cause") {
    TransportFixture f;
    REQUIRE(f.driver.start());
    CHECK(f.echo_works());
    CHECK(f.irq.raised == 1);
    CHECK(f.driver.get(0x60) == 1);
    f.driver.set(0x64, 1);
    CHECK(f.driver.get(0x60) == 0);
    CHECK(f.faults.empty());
  }

  TEST_CASE("virtio-mmio: features that were not offered, or no VERSION_1 → FEATURES_OK is not taken") {
    TransportFixture f;
    CHECK_FALSE(f.driver.negotiate(VIRTIO_F_VERSION_1 | 8));
    CHECK_FALSE(f.driver.negotiate(3));
    CHECK(f.driver.negotiate(VIRTIO_F_VERSION_1));
    f.driver.set(0x24, 0);
    f.driver.set(0x20, 8);  // too late
    f.driver.set(0x70, 15);
    CHECK(f.driver.status() == 15);
    f.driver.set(0x70, 1);  // bits are not cleared
    CHECK(f.driver.status() == 15);
    CHECK_FALSE(f.driver.negotiate(3));
    f.driver.set(0x70, 15);
    CHECK(f.driver.status() == 3);
  }

  TEST_CASE("virtio-mmio: configuration space → any width and offset, beyond its end zeroes") {
    TransportFixture f;
    CHECK(f.driver.config<char>(0) == 'c');
    std::array<std::byte, 8> data{};
    for (std::size_t size = 1; size <= 8; ++size) {
      for (std::uint64_t offset = 0; offset < 0x200; ++offset) {
        data.fill(std::byte{0xee});
        f.transport.read(0x100 + offset, std::span(data).first(size));
        CHECK(data[size - 1] ==
              (offset + size - 1 < 13 ? static_cast<std::byte>("configuration"[offset + size - 1]) : std::byte{0}));
      }
    }
    f.transport.write(0x105, base::as_bytes("abc"));
    CHECK(f.echo().config_written == 503);
  }

  TEST_CASE("virtio-mmio: every register at every width and alignment → no effect unless 32 bits, aligned") {
    TransportFixture f;
    REQUIRE(f.driver.start());
    const std::array<std::byte, 8> ones{std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};
    std::array<std::byte, 8> data{};
    for (std::uint64_t offset = 0; offset < 0x100; ++offset) {
      for (const std::size_t size : {0, 1, 2, 3, 4, 5, 8}) {
        if (size == 4 && offset % 4 == 0) {
          continue;
        }
        f.transport.write(offset, base::ByteView(ones).first(size));
        f.transport.read(offset, std::span(data).first(size));
        CHECK(std::all_of(data.begin(), data.end(), [](std::byte byte) { return byte == std::byte{0}; }));
      }
    }
    CHECK(f.driver.status() == 15);
    CHECK(f.echo_works());
  }

  TEST_CASE("virtio-mmio: a queue that is not in memory → needs reset, told once; after a reset all is well") {
    TransportFixture f;
    for (int i = 0; i < 3; ++i) {
      REQUIRE(f.driver.negotiate(f.driver.offered()));
      auto ring = f.driver.make_ring(16);
      ring.used = test::kMemoryBytes;
      f.driver.tell(0, ring);
      f.driver.set(0x70, 15);
      CHECK(f.driver.broken());
      CHECK((f.driver.get(0x60) & 2) != 0);
    }
    REQUIRE(f.faults.size() == 1);
    CHECK(f.faults[0].find("queue 0: the used ring") != std::string::npos);
    REQUIRE(f.driver.start());
    CHECK(f.echo_works());
  }

  TEST_CASE("virtio-mmio: a queue size beyond the maximum → needs reset") {
    TransportFixture f;
    REQUIRE(f.driver.negotiate(f.driver.offered()));
    f.driver.tell(0, f.driver.make_ring(32));
    f.driver.set(0x70, 15);
    CHECK(f.driver.broken());
  }

  TEST_CASE("virtio-mmio: a broken ring → needs reset and silence, whatever the driver rings") {
    TransportFixture f;
    REQUIRE(f.driver.start());
    f.driver.offer(f.driver.rings[0], 999);
    f.driver.kick(0);
    CHECK(f.driver.broken());
    CHECK((f.driver.get(0x60) & 2) != 0);
    const int raised = f.irq.raised;
    for (int i = 0; i < 100; ++i) {
      f.driver.kick(0);
      f.driver.kick(1);
      f.driver.kick(77);
    }
    CHECK(f.irq.raised == raised);
    CHECK(f.faults.size() == 1);
    f.driver.set(0x70, 0);
    CHECK(f.driver.status() == 0);
    REQUIRE(f.driver.start());
    CHECK(f.echo_works());
  }

  TEST_CASE("virtio-mmio: before DRIVER_OK and after FAILED → doorbells do nothing") {
    TransportFixture f;
    f.driver.kick(0);
    REQUIRE(f.driver.start());
    f.driver.set(0x70, 15 | 128);
    f.driver.add(0, {{0x200000, 4}});
    f.driver.kick(0);
    CHECK(f.echo().served == 0);
    CHECK_FALSE(f.driver.take(0));
  }

  TEST_CASE("virtio-mmio: with a kick → the doorbell goes to the worker") {
    std::vector<std::uint16_t> kicked;
    TransportFixture f([&kicked](std::uint16_t index) { kicked.push_back(index); });
    REQUIRE(f.driver.start());
    f.driver.add(0, {{0x200000, 4}});
    f.driver.kick(0);
    CHECK(kicked == std::vector<std::uint16_t>{0});
    CHECK(f.echo().served == 0);
    f.transport.notify(0);
    CHECK(f.echo().served == 1);
    CHECK(kicked.size() == 1);
  }

  TEST_CASE("virtio-mmio: a driver that never stops sending → is served in turns, and the worker is kicked again") {
    std::vector<std::uint16_t> kicked;
    TransportFixture f([&kicked](std::uint16_t index) { kicked.push_back(index); });
    REQUIRE(f.driver.start());
    f.echo().on_served = [&f] { f.driver.add(0, {{0x200000, 4}}); };
    f.driver.add(0, {{0x200000, 4}});
    const std::int64_t begin_ns = base::monotonic_ns();
    f.transport.notify(0);
    const bool was_slow = base::monotonic_ns() - begin_ns > kTurnNs;
    const int served = f.echo().served;
    CHECK((served == static_cast<int>(kChainsPerTurn) ||
           (was_slow && served > 0 && served < static_cast<int>(kChainsPerTurn))));
    CHECK(kicked == std::vector<std::uint16_t>{0});
    f.echo().on_served = {};
    f.transport.notify(0);  // the one that was left
    CHECK(f.echo().served == served + 1);
    CHECK(kicked.size() == 1);
    CHECK(f.faults.empty());
  }

  TEST_CASE("virtio-mmio: chains that take long → the turn ends by the clock") {
    std::vector<std::uint16_t> kicked;
    TransportFixture f([&kicked](std::uint16_t index) { kicked.push_back(index); });
    REQUIRE(f.driver.start());
    f.echo().on_served = [&f] {
      std::this_thread::sleep_for(std::chrono::nanoseconds(kTurnNs));
      f.driver.add(0, {{0x200000, 4}});
    };
    f.driver.add(0, {{0x200000, 4}});
    f.transport.notify(0);
    CHECK(f.echo().served == 1);
    CHECK(kicked == std::vector<std::uint16_t>{0});
    f.echo().on_served = {};
  }

  TEST_CASE("virtio-mmio: a doorbell while a vCPU works → the worker is kicked again, the vCPU serves nothing") {
    std::vector<std::uint16_t> kicked;
    TransportFixture f([&kicked](std::uint16_t index) { kicked.push_back(index); });
    REQUIRE(f.driver.start());
    f.driver.add(0, {{0x200000, 4}});
    f.transport.begin_work();
    std::thread([&f] { f.transport.notify(0); }).join();
    f.transport.end_work();
    CHECK(f.echo().served == 0);
    CHECK(kicked == std::vector<std::uint16_t>{0});
    f.transport.notify(0);
    CHECK(f.echo().served == 1);
  }

  TEST_CASE("virtio-mmio: stopped → nothing is served any more") {
    TransportFixture f;
    REQUIRE(f.driver.start());
    f.transport.stop();
    f.driver.add(0, {{0x200000, 4}});
    f.driver.kick(0);
    CHECK(f.echo().served == 0);
  }

  TEST_CASE("virtio-mmio: the device's configuration changes → generation and interrupt") {
    TransportFixture f;
    f.transport.config_changed();
    CHECK(f.irq.raised == 0);  // there is no driver
    REQUIRE(f.driver.start());
    const std::uint32_t generation = f.driver.get(0xfc);
    f.transport.config_changed();
    CHECK(f.irq.raised == 1);
    CHECK(f.driver.get(0x60) == 2);
    CHECK(f.driver.get(0xfc) == generation + 1);
  }

  TEST_CASE("virtio-mmio: saved and restored → the driver goes on where it was") {
    TransportFixture f;
    REQUIRE(f.driver.start());
    CHECK(f.echo_works());
    const base::Bytes saved = f.transport.save();
    MmioTransport other(f.memory, f.irq, std::make_unique<Echo>(), {});
    REQUIRE(other.restore(saved).ok());
    CHECK(other.save() == saved);
    test::FakeDriver driver(f.memory, other);
    driver.rings = f.driver.rings;
    driver.add(0, {{0x200000, 4}, {0x201000, 4, true}});
    const int raised = f.irq.raised;
    other.kick_all();
    CHECK(driver.take(0)->written == 4);
    CHECK(f.irq.raised > raised);
    CHECK(driver.status() == 15);
  }

  TEST_CASE("virtio-mmio: saved after the driver broke it or gave up → restored as dead as it was, byte for byte") {
    for (const bool gave_up : {false, true}) {
      TransportFixture f;
      REQUIRE(f.driver.start());
      CHECK(f.echo_works());
      if (gave_up) {
        f.driver.set(0x70, 15 | 128);
      } else {
        f.driver.offer(f.driver.rings[0], 999);
        f.driver.kick(0);
      }
      const base::Bytes saved = f.transport.save();
      MmioTransport other(f.memory, f.irq, std::make_unique<Echo>(), {});
      REQUIRE(other.restore(saved).ok());
      CHECK(other.save() == saved);
      CHECK(test::FakeDriver(f.memory, other).status() == f.driver.status());
      other.kick_all();
      CHECK(static_cast<Echo&>(other.device()).served == 0);
    }
  }

  TEST_CASE("virtio-mmio: saved state cut, extended or of another device → refused, and as after a reset") {
    TransportFixture f;
    REQUIRE(f.driver.start());
    base::Bytes saved = f.transport.save();
    for (std::size_t size = 0; size < saved.size(); ++size) {
      CHECK_FALSE(f.transport.restore(base::ByteView(saved).first(size)).ok());
      CHECK(f.driver.status() == 0);
    }
    saved.push_back(std::byte{0});
    CHECK_FALSE(f.transport.restore(saved).ok());
    saved.pop_back();
    CHECK(f.transport.restore(saved).ok());
    saved[0] = std::byte{1};
    CHECK_FALSE(f.transport.restore(saved).ok());
    CHECK(f.transport.restore(TransportFixture().transport.save()).ok());
    CHECK(f.driver.status() == 0);
  }

  TEST_CASE("virtio-mmio: a reset while a request is under way → waits for that one, and for no other") {
    TransportFixture f;
    REQUIRE(f.driver.start());
    for (int i = 0; i < 4; ++i) {
      f.driver.add(1, {{0x200000, 4}});
    }
    std::thread worker([&f] { f.transport.notify(1); });
    while (!f.echo().waiting) {
      std::this_thread::yield();
    }
    // Neither registers nor doorbells wait for the worker.
    CHECK(f.driver.status() == 15);
    f.driver.kick(0);
    f.driver.kick(1);
    std::atomic<bool> reset_done{false};
    std::thread vcpu([&f, &reset_done] {
      f.driver.set(0x70, 0);
      reset_done = true;
    });
    CHECK_FALSE(reset_done);
    // The reset asks the worker to stop before it waits, and nothing tells when it has asked: serving on is allowed
    // until then, so all that can be checked is that both end.
    f.echo().let_go = true;
    worker.join();
    vcpu.join();
    CHECK(f.driver.status() == 0);
    CHECK(f.echo().resets >= 1);
    REQUIRE(f.driver.start());
    CHECK(f.echo_works());
  }

  TEST_CASE("virtio-mmio: doorbells, registers and resets from several threads → one works at a time, none hangs") {
    TransportFixture f;
    f.echo().let_go = true;
    REQUIRE(f.driver.start());
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (std::uint16_t queue = 0; queue < 2; ++queue) {
      threads.emplace_back([&f, &stop, queue] {
        while (!stop) {
          f.transport.notify(queue);
          std::this_thread::yield();
        }
      });
    }
    threads.emplace_back([&f, &stop] {
      test::FakeDriver reader(f.memory, f.transport);
      while (!stop) {
        reader.status();
        reader.get(0x60);
        reader.config<std::uint32_t>(0);
        reader.set(0x64, 3);
        f.transport.config_changed();
        std::this_thread::yield();
      }
    });
    threads.emplace_back([&f, &stop] {
      while (!stop) {
        const Work work(f.transport);
        f.transport.queue(0);
      }
    });
    for (int round = 0; round < 50; ++round) {
      REQUIRE(f.driver.start(~std::uint64_t{0}, 8));
      // As many chains as there are descriptors: a driver does not touch those that the device still has.
      for (int i = 0; i < 4; ++i) {
        f.driver.add(0, {{0x200000, 4}, {0x201000, 4, true}});
        f.driver.add(1, {{0x200000, 4}, {0x201000, 4, true}});
        f.driver.kick(0);
        f.driver.kick(1);
      }
    }
    stop = true;
    for (std::thread& thread : threads) {
      thread.join();
    }
    CHECK(f.faults.empty());
    CHECK(f.echo().served > 0);
  }
}

}  // namespace pyro::devices::virtio
