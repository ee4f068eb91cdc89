#include "state/snapshot.hpp"

#include "state/crc32c.hpp"

#include <doctest/doctest.h>

namespace pyro::state {

namespace {

using base::as_bytes;
using base::as_text;

base::Bytes sample_snapshot() {
  SnapshotWriter writer;
  REQUIRE(writer.add(1, 1, as_bytes("vcpu")).ok());
  REQUIRE(writer.add(2, 7, {}).ok());
  REQUIRE(writer.add(0xffffffff, 1, as_bytes("disk")).ok());
  return std::move(writer).finish();
}

}  // namespace

TEST_SUITE("state") {
  TEST_CASE("crc32c: the check value of the standard") {
    CHECK(crc32c(as_bytes("123456789")) == 0xe3069283);
    CHECK(crc32c({}) == 0);
    CHECK(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))) == 0xe3069283);
  }

  TEST_CASE("snapshot: sections written → read back by id and version") {
    const base::Bytes bytes = sample_snapshot();
    const auto reader = SnapshotReader::parse(bytes);
    REQUIRE(reader.ok());
    CHECK(reader->sections().size() == 3);
    CHECK(as_text(*reader->section(1, 1, "vCPU")) == "vcpu");
    CHECK(reader->section(2, 7, "nothing")->empty());
    CHECK(as_text(*reader->section(0xffffffff, 1, "disk")) == "disk");
  }

  TEST_CASE("snapshot: a section that is missing or of another version → refused by name") {
    const base::Bytes bytes = sample_snapshot();
    const auto reader = SnapshotReader::parse(bytes);
    REQUIRE(reader.ok());
    CHECK(reader->section(3, 1, "console").error().message.find("console") != std::string::npos);
    CHECK(reader->section(2, 6, "clock").error().code == PYRO_ERROR_UNSUPPORTED);
  }

  TEST_CASE("snapshot: cut or extended at any byte → refused") {
    base::Bytes bytes = sample_snapshot();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CHECK_FALSE(SnapshotReader::parse(base::ByteView(bytes).first(size)).ok());
    }
    bytes.push_back(std::byte{0});
    CHECK_FALSE(SnapshotReader::parse(bytes).ok());
  }

  TEST_CASE("snapshot: any single bit flipped → refused") {
    base::Bytes bytes = sample_snapshot();
    for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
      bytes[i / 8] ^= std::byte{1} << (i % 8);
      CHECK_FALSE(SnapshotReader::parse(bytes).ok());
      bytes[i / 8] ^= std::byte{1} << (i % 8);
    }
    CHECK(SnapshotReader::parse(bytes).ok());
  }

  TEST_CASE("snapshot: ids out of order or twice → refused by the writer") {
    SnapshotWriter writer;
    REQUIRE(writer.add(5, 1, {}).ok());
    CHECK_FALSE(writer.add(5, 1, {}).ok());
    CHECK_FALSE(writer.add(4, 1, {}).ok());
    CHECK(SnapshotReader::parse(std::move(writer).finish()).ok());
  }

  TEST_CASE("snapshot: more than the cap → refused by writer and reader") {
    SnapshotWriter writer;
    const base::Bytes large(kMaxSnapshotBytes);
    CHECK(writer.add(1, 1, large).error().code == PYRO_ERROR_LIMIT);
    CHECK(SnapshotReader::parse(base::Bytes(kMaxSnapshotBytes + 1)).error().code == PYRO_ERROR_LIMIT);
    for (std::uint32_t id = 0; id < kMaxSnapshotSections; ++id) {
      REQUIRE(writer.add(id, 1, {}).ok());
    }
    CHECK(writer.add(kMaxSnapshotSections, 1, {}).error().code == PYRO_ERROR_LIMIT);
  }
}

}  // namespace pyro::state
