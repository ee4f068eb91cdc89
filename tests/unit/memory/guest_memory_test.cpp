#include "memory/guest_memory.hpp"

#include <array>

#include <doctest/doctest.h>
#include <sys/mman.h>

namespace pyro::memory {

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
using Backing = GuestMemory::Backing;

GuestMemory two_regions(Backing backing = Backing::memfd) {
  const std::array<Range, 2> ranges{Range{0, 3 * kMiB}, Range{0x100000000, kMiB}};
  auto memory = GuestMemory::create(ranges, backing);
  REQUIRE(memory.ok());
  return std::move(*memory);
}

pyro_status refusal(std::vector<Range> ranges) {
  const auto memory = GuestMemory::create(ranges, Backing::anonymous);
  return memory.ok() ? PYRO_OK : memory.error().code;
}

bool resident(const std::byte* page) {
  unsigned char flag = 0;
  REQUIRE(::mincore(const_cast<std::byte*>(page), 4096, &flag) == 0);
  return (flag & 1) != 0;
}

}  // namespace

TEST_SUITE("memory") {
  TEST_CASE("guest memory: ranges that make no sense → refused") {
    CHECK(refusal({}) == PYRO_ERROR_INVALID);
    CHECK(refusal({{0, 0}}) == PYRO_ERROR_INVALID);
    CHECK(refusal({{0, 100}}) == PYRO_ERROR_INVALID);
    CHECK(refusal({{100, 4096}}) == PYRO_ERROR_INVALID);
    CHECK(refusal({{4096, 8192}, {8192, 4096}}) == PYRO_ERROR_INVALID);
    CHECK(refusal({{8192, 4096}, {0, 4096}}) == PYRO_ERROR_INVALID);
    CHECK(refusal({{~std::uint64_t{4095}, 8192}}) == PYRO_ERROR_INVALID);
    CHECK(refusal({{0, kMaxMemoryBytes + 4096}}) == PYRO_ERROR_LIMIT);
    CHECK(refusal({{0, kMaxMemoryBytes}, {kMaxMemoryBytes, 4096}}) == PYRO_ERROR_LIMIT);
    CHECK(refusal(std::vector<Range>(kMaxRegions + 1)) == PYRO_ERROR_LIMIT);
    CHECK(refusal({{0, 4096}, {4096, 4096}}) == PYRO_OK);
  }

  TEST_CASE("guest memory: host addresses and file offsets → congruent to the guest's modulo 2 MiB") {
    for (const Backing backing : {Backing::memfd, Backing::anonymous}) {
      const std::array<Range, 2> ranges{Range{0x1000, 5 * kMiB}, Range{0x100003000, kMiB}};
      const auto memory = GuestMemory::create(ranges, backing);
      REQUIRE(memory.ok());
      REQUIRE(memory->regions().size() == 2);
      CHECK(memory->size_bytes() == 6 * kMiB);
      for (const Region& region : memory->regions()) {
        CHECK((reinterpret_cast<std::uintptr_t>(region.host) - region.gpa) % (2 * kMiB) == 0);
        if (backing == Backing::memfd) {
          CHECK((region.fd_offset - region.gpa) % (2 * kMiB) == 0);
        } else {
          CHECK(region.fd == -1);
        }
      }
    }
  }

  TEST_CASE("guest memory: a slice → inside one region or nothing") {
    const GuestMemory memory = two_regions();
    CHECK(memory.slice(0, 3 * kMiB).has_value());
    CHECK(memory.slice(3 * kMiB - 1, 1).has_value());
    CHECK(memory.slice(3 * kMiB - 1, 0)->empty());
    CHECK_FALSE(memory.slice(3 * kMiB - 1, 2));
    CHECK_FALSE(memory.slice(3 * kMiB, 1));
    CHECK_FALSE(memory.slice(0xffffffff, 2));
    CHECK(memory.slice(0x100000000, kMiB).has_value());
    CHECK_FALSE(memory.slice(0x100000000, kMiB + 1));
    CHECK_FALSE(memory.slice(0, ~std::uint64_t{0}));
    CHECK_FALSE(memory.slice(~std::uint64_t{0}, 1));
    CHECK_FALSE(memory.slice(4096, ~std::uint64_t{0} - 4095));
  }

  TEST_CASE("guest memory: what is written → is read back, at any alignment, and outside nothing happens") {
    const GuestMemory memory = two_regions(Backing::anonymous);
    for (std::uint64_t at = 0x1000; at < 0x1010; ++at) {
      CHECK(memory.store<std::uint64_t>(at, 0x1122334455667788 + at));
      CHECK(memory.load<std::uint64_t>(at) == 0x1122334455667788 + at);
      CHECK(memory.load<std::uint8_t>(at) == static_cast<std::uint8_t>(0x88 + at));
    }
    CHECK(memory.write(0x2000, base::as_bytes("hello")));
    std::array<std::byte, 5> text{};
    CHECK(memory.read(0x2000, text));
    CHECK(base::as_text(text) == "hello");
    CHECK_FALSE(memory.store<std::uint32_t>(3 * kMiB - 2, 1));
    CHECK_FALSE(memory.load<std::uint32_t>(3 * kMiB - 2));
    CHECK(memory.load<std::uint16_t>(3 * kMiB - 2) == 0);
    CHECK_FALSE(memory.write(3 * kMiB - 2, base::as_bytes("hello")));
    CHECK_FALSE(memory.read(3 * kMiB - 2, text));
  }

  TEST_CASE("guest memory: whole pages discarded → zero again and not resident; parts of pages stay") {
    for (const Backing backing : {Backing::memfd, Backing::anonymous}) {
      const GuestMemory memory = two_regions(backing);
      const std::byte* host = memory.slice(0x4000, 0x4000)->data();
      for (std::uint64_t at = 0x4000; at < 0x8000; at += 0x1000) {
        CHECK(memory.store<std::uint32_t>(at, 7));
      }
      CHECK(memory.discard(0x4800, 0x2800));
      if (backing == Backing::memfd) {
        CHECK_FALSE(resident(host + 0x1000));
      }
      CHECK(memory.load<std::uint32_t>(0x4000) == 7);
      CHECK(memory.load<std::uint32_t>(0x5000) == 0);
      CHECK(memory.load<std::uint32_t>(0x6000) == 0);
      CHECK(memory.load<std::uint32_t>(0x7000) == 7);
      CHECK(memory.discard(0x4001, 100));
      CHECK_FALSE(memory.discard(3 * kMiB - 0x1000, 0x2000));
      CHECK_FALSE(memory.discard(0, ~std::uint64_t{0}));
    }
  }

  TEST_CASE("guest memory: read-only memory → can be named for reading only") {
    const std::array<std::byte, 4096> image{std::byte{42}};
    const Range ram{0, kMiB};
    const ReadOnlyRegion rom{0x10000000, 4096, image.data()};
    const auto memory = GuestMemory::create({&ram, 1}, Backing::anonymous, {&rom, 1});
    REQUIRE(memory.ok());
    CHECK((*memory->slice_readable(0x10000000, 4096))[0] == std::byte{42});
    CHECK_FALSE(memory->slice_readable(0x10000000, 4097));
    CHECK_FALSE(memory->slice(0x10000000, 1));
    CHECK_FALSE(memory->discard(0x10000000, 4096));
    const ReadOnlyRegion inside{0x1000, 4096, image.data()};
    CHECK_FALSE(GuestMemory::create({&ram, 1}, Backing::anonymous, {&inside, 1}).ok());
  }

  TEST_CASE("guest memory: moved → the new owner has it, the old one nothing") {
    GuestMemory memory = two_regions();
    CHECK(memory.store<std::uint32_t>(0, 5));
    GuestMemory other = std::move(memory);
    CHECK(other.load<std::uint32_t>(0) == 5);
    memory = two_regions();
    memory = std::move(other);
    CHECK(memory.load<std::uint32_t>(0) == 5);
    CHECK(memory.regions().size() == 2);
  }
}

}  // namespace pyro::memory
