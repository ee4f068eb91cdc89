// A block device saved with a request that nobody has served, and what is refused of such a state.
#include "block_request.hpp"
#include "devices/file_disk.hpp"
#include "devices/overlay_disk.hpp"
#include "devices/virtio/block.hpp"
#include "devices/virtio/mmio_transport.hpp"

#include <algorithm>

#include <doctest/doctest.h>
#include <unistd.h>

namespace pyro::devices::virtio {

namespace {

// Not a multiple of 64 clusters: the last word of the cluster map has bits that stand for nothing.
constexpr std::uint64_t kStateDiskBytes = 20 * 4096;
constexpr std::uint64_t kSectorsGpa = test::kRequestDataGpa;

// Where MmioTransport::save() puts what, for a device of one queue, and OverlayDisk::save() behind it.
constexpr std::size_t kStatusAt = 4;
constexpr std::size_t kFeaturesAt = 28;
constexpr std::size_t kQueueCountAt = 36;
constexpr std::size_t kQueueSizeAt = 41;
constexpr std::size_t kUsedGpaAt = 59;
constexpr std::size_t kNextAvailAt = 67;
constexpr std::size_t kDiskSizeAt = 73;
constexpr std::size_t kClusterShiftAt = 81;
constexpr std::size_t kClustersAt = 82;

// The files of a disk, which outlive the devices on them.
struct StateFiles {
  explicit StateFiles(bool is_overlay) : overlay(is_overlay) {
    const std::string pristine(kStateDiskBytes, 'b');
    REQUIRE(::pwrite(base.get(), pristine.data(), pristine.size(), 0) == static_cast<ssize_t>(pristine.size()));
  }
  [[nodiscard]] std::unique_ptr<BlockBackend> open() const {
    if (!overlay) {
      return std::move(*FileDisk::open(std::move(*base.duplicate()), FileDisk::Access::read_write));
    }
    return std::move(*OverlayDisk::create(std::move(*base.duplicate()), std::move(*delta.duplicate()),
                                          OverlayDisk::Durability::none));
  }
  bool overlay;
  base::Fd base = std::move(*base::make_memfd("base"));
  base::Fd delta = std::move(*base::make_memfd("delta"));
};

// One machine's life on memory and files that go on after it. A doorbell waits for worker().
struct StateMachine {
  StateMachine(const memory::GuestMemory& memory, const StateFiles& files)
      : transport(memory, irq, std::make_unique<Block>(files.open(), "scratch"),
                  {[this](std::uint16_t) { ++rung; }, {}}),
        driver(memory, transport) {}
  void worker() {
    for (; rung > 0; --rung) {
      transport.notify(0);
    }
  }
  // Its status, or -1 if it did not come back.
  int answer() { return driver.take(0) ? driver.peek<std::uint8_t>(test::kRequestStatusGpa) : -1; }
  int write(std::uint64_t sector, const std::string& text) {
    driver.poke_text(kSectorsGpa, text);
    test::ring_request(driver, 1, sector, {{kSectorsGpa, static_cast<std::uint32_t>(text.size())}});
    worker();
    return answer();
  }
  std::string read(std::uint64_t sector, std::uint32_t size_bytes) {
    test::ring_request(driver, 0, sector, {{kSectorsGpa, size_bytes, true}});
    worker();
    CHECK(answer() == 0);
    return driver.peek_text(kSectorsGpa, size_bytes);
  }

  test::FakeIrq irq;
  int rung = 0;
  MmioTransport transport;
  test::FakeDriver driver;
};

// A driver at work: some requests done, one rung for and not served. What is saved then.
base::Bytes save_with_one_left(StateMachine& machine) {
  REQUIRE(machine.driver.start());
  CHECK(machine.write(3, std::string(1024, 'w')) == 0);
  CHECK(machine.write(40, std::string(4096, 'v')) == 0);
  CHECK(machine.read(2, 1024) == std::string(512, 'b') + std::string(512, 'w'));
  machine.driver.poke_text(kSectorsGpa, std::string(4096, '?'));
  machine.driver.set_used_event(machine.driver.rings[0], machine.driver.rings[0].next_used);
  test::ring_request(machine.driver, 0, 2, {{kSectorsGpa, 1000, true}, {kSectorsGpa + 1000, 1048, true}});
  CHECK(machine.answer() == -1);
  return machine.transport.save();
}

// A device that took nothing over: the private file is not looked at, whatever is in it.
void check_disk_is_pristine(StateMachine& fresh) {
  REQUIRE(fresh.driver.start());
  fresh.driver.poke(fresh.driver.rings[0].avail + 2, std::uint16_t{0});
  CHECK(fresh.read(3, 512) == std::string(512, 'b'));
}

template <typename T>
base::Bytes altered(base::Bytes saved, std::size_t at, T value) {
  REQUIRE(at + sizeof(value) <= saved.size());
  std::memcpy(saved.data() + at, &value, sizeof(value));
  return saved;
}

}  // namespace

TEST_SUITE("devices") {
  TEST_CASE("virtio-blk: saved with a request unserved → restored on the same files, served, and the disk as it was") {
    for (const bool overlay : {false, true}) {
      CAPTURE(overlay);
      const memory::GuestMemory memory = test::make_memory();
      const StateFiles files(overlay);
      base::Bytes saved;
      std::vector<test::FakeDriver::Ring> rings;
      {
        StateMachine before(memory, files);
        saved = save_with_one_left(before);
        rings = before.driver.rings;
      }
      StateMachine after(memory, files);
      REQUIRE(after.transport.restore(saved).ok());
      CHECK(after.transport.save() == saved);
      CHECK(after.driver.status() == 15);
      after.driver.rings = rings;
      CHECK_FALSE(after.driver.take(0));
      after.transport.kick_all();
      CHECK(after.rung == 1);
      const int raised = after.irq.raised;
      after.worker();
      CHECK(after.irq.raised == raised + 1);
      const auto used = after.driver.take(0);
      REQUIRE(used);
      CHECK(used->written == 2049);
      CHECK(after.driver.peek<std::uint8_t>(test::kRequestStatusGpa) == 0);
      CHECK(after.driver.peek_text(kSectorsGpa, 2050) ==
            std::string(512, 'b') + std::string(1024, 'w') + std::string(512, 'b') + "??");
      CHECK_FALSE(after.driver.take(0));
      // And on: what was written before, beside what is written now.
      CHECK(after.write(41, std::string(512, 'n')) == 0);
      CHECK(after.read(39, 1536) == std::string(512, 'b') + std::string(512, 'v') + std::string(512, 'n'));
      CHECK_FALSE(after.driver.broken());
    }
  }

  TEST_CASE("virtio-blk: the cluster map is in the saved state → without it the private file is not looked at") {
    const memory::GuestMemory memory = test::make_memory();
    const StateFiles files(true);
    {
      StateMachine before(memory, files);
      save_with_one_left(before);
    }
    StateMachine fresh(memory, files);
    check_disk_is_pristine(fresh);
  }

  TEST_CASE("virtio-blk: saved state with a byte too many → refused, and the disk is as it was") {
    const memory::GuestMemory memory = test::make_memory();
    const StateFiles files(true);
    StateMachine before(memory, files);
    base::Bytes saved = save_with_one_left(before);
    saved.push_back(std::byte{0});
    StateMachine fresh(memory, files);
    REQUIRE_FALSE(fresh.transport.restore(saved).ok());
    check_disk_is_pristine(fresh);
  }

  TEST_CASE("virtio-blk: saved state cut or altered → refused, and the device as after a reset") {
    const memory::GuestMemory memory = test::make_memory();
    const StateFiles files(true);
    StateMachine before(memory, files);
    const base::Bytes saved = save_with_one_left(before);
    REQUIRE(saved.size() == kClustersAt + 8);
    std::vector<base::Bytes> refused;
    for (std::size_t size = 0; size < saved.size(); ++size) {
      refused.emplace_back(saved.begin(), saved.begin() + static_cast<std::ptrdiff_t>(size));
    }
    refused.push_back(altered(saved, 0, VIRTIO_ID_NET));
    refused.push_back(altered(saved, kStatusAt, std::uint32_t{15 | 16}));
    refused.push_back(altered(saved, kFeaturesAt, std::uint64_t{1} << 40 | VIRTIO_F_VERSION_1));
    refused.push_back(altered(saved, kQueueCountAt, std::uint32_t{2}));
    refused.push_back(altered(saved, kQueueSizeAt, std::uint16_t{512}));
    refused.push_back(altered(saved, kUsedGpaAt, std::uint64_t{test::kMemoryBytes}));
    refused.push_back(altered(saved, kNextAvailAt, std::uint16_t{300}));
    refused.push_back(altered(saved, kDiskSizeAt, std::uint64_t{kStateDiskBytes + 4096}));
    refused.push_back(altered(saved, kClusterShiftAt, std::uint8_t{13}));
    refused.push_back(altered(saved, kClustersAt, std::uint64_t{1} << 20));

    StateMachine after(memory, files);
    const auto& ring = before.driver.rings[0];
    const auto used_before = before.driver.peek<std::uint16_t>(ring.used + 2);
    for (std::size_t i = 0; i < refused.size(); ++i) {
      CAPTURE(i);
      REQUIRE_FALSE(after.transport.restore(refused[i]).ok());
      CHECK(after.driver.status() == 0);
      CHECK(after.driver.get(0x44) == 0);  // QueueReady
      CHECK(after.driver.get(0x60) == 0);  // InterruptStatus
      after.transport.kick_all();
      after.transport.notify(0);
      CHECK(after.rung == 0);
      CHECK(after.irq.raised == 0);
      CHECK(before.driver.peek<std::uint16_t>(ring.used + 2) == used_before);
    }
    CHECK(before.driver.peek_text(kSectorsGpa, 2050) == std::string(2050, '?'));

    // None of them is in the way of a good one.
    REQUIRE(after.transport.restore(saved).ok());
    after.driver.rings = before.driver.rings;
    after.transport.kick_all();
    after.worker();
    CHECK(after.answer() == 0);
    CHECK(after.driver.peek_text(kSectorsGpa + 512, 1024) == std::string(1024, 'w'));
  }
}

}  // namespace pyro::devices::virtio
