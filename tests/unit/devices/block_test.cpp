#include "devices/virtio/block.hpp"

#include "block_request.hpp"
#include "devices/virtio/mmio_transport.hpp"

#include <cerrno>

#include <doctest/doctest.h>

namespace pyro::devices::virtio {

namespace {

using test::Piece;

constexpr std::uint64_t kSectors = 64;
constexpr std::uint64_t kHeader = test::kRequestGpa;
constexpr std::uint64_t kStatus = test::kRequestStatusGpa;
constexpr std::uint64_t kData = test::kRequestDataGpa;

// Sectors in memory.
class MemoryDisk final : public BlockBackend {
 public:
  explicit MemoryDisk(bool read_only) : read_only_(read_only) {}
  std::uint64_t size_bytes() const noexcept override { return kSectors * 512; }
  bool read_only() const noexcept override { return read_only_; }
  int read(std::uint64_t offset, std::span<iovec> pieces) noexcept override {
    for (const iovec& piece : pieces) {
      std::memcpy(piece.iov_base, bytes.data() + offset, piece.iov_len);
      offset += piece.iov_len;
    }
    return error;
  }
  int write(std::uint64_t offset, std::span<iovec> pieces) noexcept override {
    for (const iovec& piece : pieces) {
      std::memcpy(bytes.data() + offset, piece.iov_base, piece.iov_len);
      offset += piece.iov_len;
    }
    return error;
  }
  int flush() noexcept override {
    ++flushes;
    return error;
  }
  int discard(std::uint64_t offset, std::uint64_t length) noexcept override {
    bytes.replace(offset, length, length, 'D');
    return error;
  }
  int write_zeroes(std::uint64_t offset, std::uint64_t length) noexcept override {
    bytes.replace(offset, length, length, 'Z');
    return error;
  }
  std::string bytes = std::string(kSectors * 512, '.');
  int error = 0;
  int flushes = 0;

 private:
  bool read_only_;
};

struct Fixture {
  explicit Fixture(bool read_only = false) {
    auto owned = std::make_unique<MemoryDisk>(read_only);
    disk = owned.get();
    transport = std::make_unique<MmioTransport>(memory, irq, std::make_unique<Block>(std::move(owned), "scratch"),
                                                MmioTransport::Callbacks{});
    driver.emplace(memory, *transport);
    REQUIRE(driver->start());
  }
  // One request; its status, or -1 if it did not come back.
  int request(std::uint32_t type, std::uint64_t sector, std::vector<Piece> data) {
    test::ring_request(*driver, type, sector, std::move(data));
    const auto used = driver->take(0);
    written = used ? used->written : 0;
    return used ? driver->peek<std::uint8_t>(kStatus) : -1;
  }
  int range(std::uint32_t type, std::uint64_t sector, std::uint32_t sectors, std::uint32_t flags = 0) {
    driver->poke(kData, sector);
    driver->poke(kData + 8, sectors);
    driver->poke(kData + 12, flags);
    return request(type, 0, {{kData, 16}});
  }

  memory::GuestMemory memory = test::make_memory();
  test::FakeIrq irq;
  MemoryDisk* disk = nullptr;
  std::unique_ptr<MmioTransport> transport;
  std::optional<test::FakeDriver> driver;
  std::uint32_t written = 0;
};

}  // namespace

TEST_SUITE("devices") {
  TEST_CASE("virtio-blk: configuration → capacity, segments, block size, discard limits") {
    Fixture f;
    CHECK(f.driver->config<std::uint64_t>(0) == kSectors);
    CHECK(f.driver->config<std::uint32_t>(12) == 254);
    CHECK(f.driver->config<std::uint32_t>(20) == 512);
    CHECK(f.driver->config<std::uint8_t>(24) == 3);
    CHECK(f.driver->config<std::uint32_t>(36) == 1U << 21);
    CHECK((f.driver->offered() & 1 << 5) == 0);
    CHECK((f.driver->offered() & 1 << 13) != 0);
    Fixture read_only(true);
    CHECK((read_only.driver->offered() & 1 << 5) != 0);
    CHECK((read_only.driver->offered() & 1 << 13) == 0);
  }

  TEST_CASE("virtio-blk: written and read in pieces → the same sectors") {
    Fixture f;
    f.driver->poke_text(kData, std::string(1024, 'w'));
    CHECK(f.request(1, 3, {{kData, 100}, {kData + 100, 924}}) == 0);
    CHECK(f.written == 1);
    CHECK(f.disk->bytes.substr(3 * 512, 1024) == std::string(1024, 'w'));
    CHECK(f.request(0, 2, {{kData + 0x1000, 600, true}, {kData + 0x2000, 936, true}}) == 0);
    CHECK(f.written == 1537);
    CHECK(f.driver->peek_text(kData + 0x1000, 600) == std::string(512, '.') + std::string(88, 'w'));
    CHECK(f.driver->peek_text(kData + 0x2000, 936) == std::string(936, 'w'));
  }

  TEST_CASE("virtio-blk: header split and status beside the data → taken as one stream") {
    Fixture f;
    f.driver->poke(kHeader, std::uint64_t{0});
    f.driver->poke(kHeader + 8, std::uint64_t{1});
    f.driver->add(0, {{kHeader, 3}, {kHeader + 3, 13}, {kData, 513, true}});
    f.driver->kick(0);
    CHECK(f.driver->take(0)->written == 513);
    CHECK(f.driver->peek_text(kData, 512) == std::string(512, '.'));
    CHECK(f.driver->peek<std::uint8_t>(kData + 512) == 0);
  }

  TEST_CASE("virtio-blk: outside of the disk, no whole sectors, too much → IOERR, and the device lives") {
    Fixture f;
    CHECK(f.request(0, kSectors, {{kData, 512, true}}) == 1);
    CHECK(f.request(0, kSectors - 1, {{kData, 1024, true}}) == 1);
    CHECK(f.request(0, ~std::uint64_t{0}, {{kData, 512, true}}) == 1);
    CHECK(f.request(1, std::uint64_t{1} << 55, {{kData, 512}}) == 1);
    CHECK(f.request(0, 0, {{kData, 511, true}}) == 1);
    CHECK(f.request(1, 0, {{kData, 513}}) == 1);
    CHECK(f.request(0, 0, std::vector<Piece>(20, {0x200000, 1 << 20, true})) == 1);
    CHECK(f.request(0, kSectors - 1, {{kData, 512, true}}) == 0);
    CHECK_FALSE(f.driver->broken());
  }

  TEST_CASE("virtio-blk: the host fails, its disk being full for example → IOERR") {
    Fixture f;
    f.disk->error = ENOSPC;
    CHECK(f.request(1, 0, {{kData, 512}}) == 1);
    CHECK(f.request(0, 0, {{kData, 512, true}}) == 1);
    CHECK(f.request(4, 0, {}) == 1);
    CHECK(f.range(11, 0, 8) == 1);
    f.disk->error = 0;
    CHECK(f.request(1, 0, {{kData, 512}}) == 0);
  }

  TEST_CASE("virtio-blk: flush, serial, unknown → OK, the serial, UNSUPP") {
    Fixture f;
    CHECK(f.request(4, 0, {}) == 0);
    CHECK(f.disk->flushes == 1);
    CHECK(f.request(8, 0, {{kData, 20, true}}) == 0);
    CHECK(f.driver->peek_text(kData, 20) == std::string("scratch") + std::string(13, '\0'));
    CHECK(f.request(8, 0, {{kData, 19, true}}) == 1);
    CHECK(f.request(77, 0, {}) == 2);
  }

  TEST_CASE("virtio-blk: discard and write zeroes → the ranges named, within limits") {
    Fixture f;
    CHECK(f.range(11, 2, 3) == 0);
    CHECK(f.disk->bytes.substr(2 * 512, 3 * 512) == std::string(3 * 512, 'D'));
    CHECK(f.range(13, 8, 1, 1) == 0);
    CHECK(f.disk->bytes.substr(8 * 512, 513) == std::string(512, 'Z') + ".");
    CHECK(f.range(11, 0, 1, 1) == 2);
    CHECK(f.range(13, 0, 1, 2) == 2);
    CHECK(f.range(11, kSectors, 1) == 1);
    CHECK(f.range(11, 0, 0xffffffff) == 1);
    CHECK(f.range(13, ~std::uint64_t{0}, 2) == 1);
    CHECK(f.request(11, 0, {{kData, 15}}) == 1);
    CHECK(f.request(11, 0, {}) == 1);
    CHECK(f.request(11, 0, {{kData, 17 * 16}}) == 1);
  }

  TEST_CASE("virtio-blk: a host file system without holes → zeros are the driver's to write, other errors are errors") {
    Fixture f;
    f.disk->error = EOPNOTSUPP;
    CHECK(f.range(13, 8, 1, 1) == 2);
    f.disk->error = EIO;
    CHECK(f.range(13, 8, 1, 1) == 1);
    CHECK(f.range(11, 8, 1) == 1);
  }

  TEST_CASE("virtio-blk: a read-only disk → writes fail, discards are unsupported") {
    Fixture f(true);
    CHECK(f.request(1, 0, {{kData, 512}}) == 1);
    CHECK(f.range(11, 0, 1) == 2);
    CHECK(f.request(0, 0, {{kData, 512, true}}) == 0);
    CHECK(f.disk->bytes == std::string(kSectors * 512, '.'));
  }

  TEST_CASE("virtio-blk: no header or no status → the device needs a reset") {
    {
      Fixture f;
      f.driver->add(0, {{kHeader, 15}, {kStatus, 1, true}});
      f.driver->kick(0);
      CHECK(f.driver->broken());
    }
    {
      Fixture f;
      f.driver->add(0, {{kHeader, 16}, {kData, 512}});
      f.driver->kick(0);
      CHECK(f.driver->broken());
    }
  }

  TEST_CASE("virtio-blk: a batch → one interrupt at its end, earlier ones only for long batches") {
    Fixture f;
    const auto batch = [&f](int count) {
      const int before = f.irq.raised;
      f.driver->poke(kHeader, std::uint64_t{0});
      for (int i = 0; i < count; ++i) {
        f.driver->add(0, {{kHeader, 16}, {kData, 512, true}, {kStatus, 1, true}});
      }
      f.driver->kick(0);
      while (f.driver->take(0)) {
      }
      f.driver->set_used_event(f.driver->rings[0], f.driver->rings[0].next_used);
      return f.irq.raised - before;
    };
    CHECK(batch(10) == 1);
    CHECK(batch(10) == 1);
    CHECK(batch(40) == 1);  // the driver has not asked for more than one
  }

  TEST_CASE("virtio-blk: a buffer in read-only memory → can be written from, not read to") {
    const std::string image(4096, 'i');
    const memory::Range ram{0, test::kMemoryBytes};
    const memory::ReadOnlyRegion rom{0x10000000, 4096, reinterpret_cast<const std::byte*>(image.data())};
    Fixture f;
    f.memory = std::move(*memory::GuestMemory::create({&ram, 1}, memory::GuestMemory::Backing::anonymous, {&rom, 1}));
    REQUIRE(f.driver->start());
    CHECK(f.request(1, 0, {{0x10000000, 4096}}) == 0);
    CHECK(f.disk->bytes.substr(0, 4096) == image);
    CHECK(f.request(0, 0, {{0x10000000, 512, true}}) == -1);
    CHECK(f.driver->broken());
  }
}

}  // namespace pyro::devices::virtio
