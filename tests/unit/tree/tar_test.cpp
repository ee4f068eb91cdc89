#include "tree/tar.hpp"

#include "tree/tar_format.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "fixture.hpp"

namespace pyro::tree {

namespace {

struct Seen {
  std::vector<TarEntry> entries;
  std::vector<std::string> contents;
  bool ended = false;
  pyro_status status = PYRO_OK;
  std::string message;
};

Seen read(base::ByteView bytes, std::size_t piece_bytes = 1 << 20) {
  Seen seen;
  TarReader reader;
  while (!bytes.empty() && seen.status == PYRO_OK && !seen.ended) {
    base::ByteView piece = bytes.first(std::min(piece_bytes, bytes.size()));
    bytes = bytes.subspan(piece.size());
    while (true) {
      auto step = reader.next(piece);
      if (!step.ok()) {
        seen.status = step.error().code;
        seen.message = step.error().message;
        break;
      }
      if (step->kind == TarReader::Kind::more || step->kind == TarReader::Kind::end) {
        seen.ended = step->kind == TarReader::Kind::end;
        break;
      }
      if (step->kind == TarReader::Kind::entry) {
        seen.entries.push_back(reader.entry());
        seen.contents.emplace_back();
      } else {
        seen.contents.back() += base::as_text(step->data);
      }
    }
  }
  return seen;
}

void put(base::Bytes& bytes, std::size_t offset, std::string_view text) {
  std::copy_n(base::as_bytes(text).begin(), text.size(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

// A header block with `type`, whose checksum fits.
base::Bytes block(char type, std::string_view name, std::string_view size_field) {
  TarEntry entry = make_entry(EntryType::file, std::string(name));
  base::Bytes bytes = tar_header(entry);
  bytes[kTarType.offset] = static_cast<std::byte>(type);
  put(bytes, kTarSize.offset, size_field);
  fix_checksum(bytes);
  return bytes;
}

base::Bytes extension(char type, std::string_view content) {
  base::Bytes bytes = block(type, "ext", fmt::format("{:011o}", content.size()));
  const auto view = base::as_bytes(content);
  bytes.insert(bytes.end(), view.begin(), view.end());
  bytes.resize(bytes.size() + tar_padding(content.size()));
  return bytes;
}

}  // namespace

TEST_SUITE("tree") {
  TEST_CASE("tar: entries of all kinds → come back as they were, in pieces of any size") {
    Stream stream;
    stream.add(make_entry(EntryType::directory, "."))
        .file("a", "content of a")
        .file("empty", "")
        .file("block", std::string(512, 'b'))
        .add(make_entry(EntryType::symlink, "link", "/etc/passwd"))
        .add(make_entry(EntryType::hard_link, "hard", "a"))
        .file(std::string(300, 'p') + "/\xff\xfe", "binary name")
        .add(make_entry(EntryType::symlink, "long", std::string(1000, 't')));
    const base::Bytes bytes = stream.end();
    for (const std::size_t piece : {std::size_t{1}, std::size_t{511}, std::size_t{512}, bytes.size()}) {
      const Seen seen = read(bytes, piece);
      REQUIRE(seen.status == PYRO_OK);
      CHECK(seen.ended);
      REQUIRE(seen.entries.size() == 8);
      CHECK(seen.entries[0].type == EntryType::directory);
      CHECK(seen.contents[1] == "content of a");
      CHECK(seen.contents[2].empty());
      CHECK(seen.contents[3] == std::string(512, 'b'));
      CHECK(seen.entries[4].link == "/etc/passwd");
      CHECK(seen.entries[5].type == EntryType::hard_link);
      CHECK(seen.entries[6].path == std::string(300, 'p') + "/\xff\xfe");
      CHECK(seen.entries[6].mtime == 1'700'000'000);
      CHECK(seen.entries[6].mode == 0644);
      CHECK(seen.entries[7].link == std::string(1000, 't'));
    }
  }

  TEST_CASE("tar: sizes and times beyond eleven octal digits → travel as pax records") {
    TarEntry entry = make_entry(EntryType::file, "big");
    entry.size = std::uint64_t{1} << 40;
    entry.mtime = -5;
    const Seen seen = read(tar_header(entry));
    REQUIRE(seen.entries.size() == 1);
    CHECK(seen.entries[0].size == std::uint64_t{1} << 40);
    CHECK(seen.entries[0].mtime == -5);
  }

  TEST_CASE("tar: cut anywhere → has not ended") {
    const base::Bytes bytes = Stream().file("a", "12345").end();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const Seen seen = read(base::ByteView(bytes).first(size));
      CHECK(seen.status == PYRO_OK);
      CHECK_FALSE(seen.ended);
    }
  }

  TEST_CASE("tar: what comes behind the end → does not count") {
    base::Bytes bytes = Stream().file("a", "x").end();
    bytes.resize(bytes.size() + 5000, std::byte{0x55});
    CHECK(read(bytes).ended);
  }

  TEST_CASE("tar: GNU's long names and old headers → are understood") {
    Stream stream;
    stream.append(extension('L', std::string(200, 'n') + std::string(1, '\0')))
        .append(block('0', "short", "00000000000"))
        .append(extension('K', "target"))
        .append(block('2', "link", "00000000000"))
        .append(block('\0', "dir/", "00000000000"))
        .append(block('7', "contiguous", "00000000000"))
        .append(block('3', "device", "00000000000"))
        .append(extension('g', "18 comment=0123456\n"));
    const Seen seen = read(stream.end());
    REQUIRE_MESSAGE(seen.status == PYRO_OK, seen.message);
    REQUIRE(seen.entries.size() == 5);
    CHECK(seen.entries[0].path == std::string(200, 'n'));
    CHECK(seen.entries[1].link == "target");
    CHECK(seen.entries[2].type == EntryType::directory);
    CHECK(seen.entries[3].type == EntryType::file);
    CHECK(seen.entries[4].type == EntryType::other);
  }

  TEST_CASE("tar: numbers in base 256 → are read, and refused where they make no sense") {
    const auto size_of = [](std::string_view field) { return read(block('0', "a", field)); };
    CHECK(size_of(std::string_view("\x80\0\0\0\0\0\0\0\0\0\0\x07", 12)).entries.at(0).size == 7);
    CHECK(size_of(std::string_view("\x80\0\0\x01\0\0\0\0\0\0\0\0", 12)).status == PYRO_ERROR_INVALID);
    CHECK(size_of(std::string_view("\x80\0\0\0\xff\0\0\0\0\0\0\0", 12)).status == PYRO_ERROR_INVALID);
    CHECK(size_of(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12)).status ==
          PYRO_ERROR_INVALID);
    CHECK(size_of(std::string_view("\x81\0\0\0\0\0\0\0\0\0\0\0", 12)).status == PYRO_ERROR_INVALID);
    CHECK(size_of("0000000008 ").status == PYRO_ERROR_INVALID);
    CHECK(size_of("-0000000001").status == PYRO_ERROR_INVALID);
  }

  TEST_CASE("tar: what is no tar, or a damaged one → INVALID") {
    base::Bytes wrong = Stream().file("a", "x").end();
    wrong[3] = std::byte{'b'};
    CHECK(read(wrong).status == PYRO_ERROR_INVALID);
    CHECK(read(base::Bytes(512, std::byte{0x1f})).status == PYRO_ERROR_INVALID);
    CHECK(read(Stream().append(block('Q', "a", "00000000000")).end()).status == PYRO_ERROR_INVALID);
    CHECK(read(Stream().append(block('5', "a", "00000000001")).end()).status == PYRO_ERROR_INVALID);
    CHECK(read(Stream().append(block('2', "a", "00000000000")).end()).status == PYRO_ERROR_INVALID);
    CHECK(read(Stream().append(block('0', "", "00000000000")).end()).status == PYRO_ERROR_INVALID);
    base::Bytes lone(512);
    const base::Bytes more = Stream().file("a", "x").end();
    lone.insert(lone.end(), more.begin(), more.end());
    CHECK(read(lone).status == PYRO_ERROR_INVALID);
  }

  TEST_CASE("tar: pax records of a wrong form, or too much of them → INVALID") {
    const auto status_of = [](std::string_view records) {
      return read(Stream().append(extension('x', records)).append(block('0', "a", "00000000000")).end()).status;
    };
    CHECK(status_of("11 path=ab\n") == PYRO_OK);
    CHECK(status_of("12 path=ab\n") == PYRO_ERROR_INVALID);
    CHECK(status_of("10 path=ab\n") == PYRO_ERROR_INVALID);
    CHECK(status_of("99999999999999999999999 path=ab\n") == PYRO_ERROR_INVALID);
    CHECK(status_of("0 path=ab\n") == PYRO_ERROR_INVALID);
    CHECK(status_of("nonsense") == PYRO_ERROR_INVALID);
    CHECK(status_of("8 pathab\n") == PYRO_ERROR_INVALID);
    CHECK(status_of("8 path=\n") == PYRO_ERROR_INVALID);
    CHECK(status_of(std::string_view("11 path=\0b\n", 11)) == PYRO_ERROR_INVALID);
    CHECK(status_of("29 size=99999999999999999999\n") == PYRO_ERROR_INVALID);
    CHECK(status_of("11 size=-1\n") == PYRO_ERROR_INVALID);
    CHECK(status_of("18 mtime=12.34567\n") == PYRO_OK);
    CHECK(status_of("14 mtime=12.x\n") == PYRO_ERROR_INVALID);
    CHECK(read(block('x', "a", "00000200001")).status == PYRO_ERROR_INVALID);
    Stream many;
    for (unsigned i = 0; i <= kMaxTarExtensions; ++i) {
      many.append(extension('g', ""));
    }
    CHECK(read(many.end()).status == PYRO_ERROR_INVALID);
  }

  TEST_CASE("tar: sparse files → UNSUPPORTED, in both forms") {
    CHECK(read(block('S', "a", "00000000000")).status == PYRO_ERROR_UNSUPPORTED);
    CHECK(read(extension('x', "22 GNU.sparse.major=1\n")).status == PYRO_ERROR_UNSUPPORTED);
  }
}

}  // namespace pyro::tree
