#include "tree/packer.hpp"

#include "tree/extractor.hpp"

#include <string>

#include <doctest/doctest.h>

#include <sys/stat.h>

#include "fixture.hpp"

namespace pyro::tree {

namespace {

base::Bytes pack_all(Packer& packer, std::size_t piece_bytes = 1000) {
  base::Bytes all;
  while (!packer.has_ended()) {
    base::Bytes piece;
    const auto status = packer.fill(piece, piece_bytes);
    REQUIRE_MESSAGE(status.ok(), status.error().message);
    REQUIRE_FALSE(piece.empty());
    all.insert(all.end(), piece.begin(), piece.end());
  }
  return all;
}

base::Bytes pack(const Folder& folder) {
  auto packer = Packer::of_directory(folder.open(), {}, false, folder.path());
  REQUIRE(packer.ok());
  return pack_all(*packer);
}

}  // namespace

TEST_SUITE("tree") {
  TEST_CASE("packer: a tree → extracts to the same tree; its stream depends on the tree alone") {
    const Folder folder;
    std::filesystem::create_directories(folder / "b/c");
    folder.write("b/c/file", std::string(5000, 'f'));
    folder.write("a.txt", "text");
    folder.write("\xff\xfe", "binary name");
    folder.write("empty", "");
    std::filesystem::create_symlink("/nowhere", folder / "link");
    REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
    auto packer = Packer::of_directory(folder.open(), {}, false, folder.path());
    REQUIRE(packer.ok());
    const base::Bytes bytes = pack_all(*packer);
    CHECK(packer->counts().entries == 8);
    CHECK(packer->counts().skipped == 1);
    CHECK(packer->counts().bytes == 5015);
    CHECK(bytes == pack(folder));

    const Folder copy;
    Extractor extractor(copy.open(), {}, copy.path());
    REQUIRE(extractor.feed(bytes).ok());
    REQUIRE(extractor.finish().ok());
    std::filesystem::remove(folder / "fifo");
    CHECK(copy.names() == folder.names());
    CHECK(copy.read("b/c/file") == std::string(5000, 'f'));
    CHECK(copy.read("\xff\xfe") == "binary name");
    CHECK(std::filesystem::read_symlink(copy / "link") == "/nowhere");
  }

  TEST_CASE("packer: links out of the tree → sent as links, never followed") {
    const Folder outside;
    outside.write("secret", "do not send");
    const Folder folder;
    std::filesystem::create_symlink(outside.path(), folder / "dir");
    std::filesystem::create_symlink(outside / "secret", folder / "file");
    const base::Bytes bytes = pack(folder);
    CHECK(base::as_text(bytes).find("do not send") == std::string_view::npos);
  }

  TEST_CASE("packer: a file that shrinks or grows meanwhile → the stream stays whole") {
    const Folder folder;
    folder.write("a", std::string(3000, 'a'));
    folder.write("b", std::string(3000, 'b'));
    auto packer = Packer::of_directory(folder.open(), {}, false, folder.path());
    REQUIRE(packer.ok());
    base::Bytes bytes;
    // Into the content of "a".
    REQUIRE(packer->fill(bytes, 1500).ok());
    REQUIRE(::truncate((folder / "a").c_str(), 600) == 0);
    folder.write("b", std::string(9000, 'B'));
    base::Bytes rest = pack_all(*packer);
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    CHECK(packer->counts().changed == 1);
    const Folder copy;
    Extractor extractor(copy.open(), {}, copy.path());
    REQUIRE(extractor.feed(bytes).ok());
    REQUIRE(extractor.finish().ok());
    CHECK(copy.read("a").size() == 3000);
    CHECK(copy.read("b") == std::string(9000, 'B'));
  }

  TEST_CASE("packer: more than allowed → LIMIT, naming what was too much") {
    const Folder folder;
    folder.write("a", "1234567890");
    folder.write("b", "1");
    Limits limits;
    limits.max_bytes = 10;
    auto packer = Packer::of_directory(folder.open(), limits, false, folder.path());
    base::Bytes bytes;
    auto status = packer->fill(bytes, 1 << 20);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().code == PYRO_ERROR_LIMIT);
    CHECK(status.error().message.find("max_bytes") != std::string::npos);
    limits = {};
    limits.max_entries = 2;
    packer = Packer::of_directory(folder.open(), limits, false, folder.path());
    status = packer->fill(bytes, 1 << 20);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().message.find("max_entries") != std::string::npos);
    limits = {};
    limits.max_path_bytes = 3;
    folder.write("long", "");
    packer = Packer::of_directory(folder.open(), limits, false, folder.path());
    CHECK(packer->fill(bytes, 1 << 20).error().code == PYRO_ERROR_LIMIT);
  }

  TEST_CASE("packer: one file → one entry") {
    const Folder folder;
    folder.write("a", "content");
    auto packer = Packer::of_file(base::Fd(::open((folder / "a").c_str(), O_RDONLY)), "name", {}, "a");
    REQUIRE(packer.ok());
    const base::Bytes bytes = pack_all(*packer, 1);
    Extractor extractor(folder.open(), {}, folder.path());
    REQUIRE(extractor.feed(bytes).ok());
    CHECK(folder.read("name") == "content");
  }

  TEST_CASE("walker: names → in byte order, each directory before what is in it") {
    const Folder folder;
    std::filesystem::create_directories(folder / "a/b");
    folder.write("a.txt", "");
    folder.write("a/z", "");
    folder.write("a-", "");
    auto walker = Walker::make(folder.open(), {}, folder.path());
    REQUIRE(walker.ok());
    std::vector<std::string> paths;
    while (*walker->next()) {
      paths.push_back(walker->item().path);
    }
    CHECK(paths == std::vector<std::string>{"a", "a/b", "a/z", "a-", "a.txt"});
  }

  TEST_CASE("walker: what vanishes meanwhile → is left out") {
    const Folder folder;
    std::filesystem::create_directories(folder / "a/b");
    folder.write("c", "");
    folder.write("d", "");
    auto walker = Walker::make(folder.open(), {}, folder.path());
    REQUIRE(walker.ok());
    REQUIRE(*walker->next());
    std::filesystem::remove_all(folder / "a");
    std::filesystem::remove(folder / "c");
    REQUIRE(*walker->next());
    CHECK(walker->item().path == "d");
    CHECK_FALSE(*walker->next());
  }
}

}  // namespace pyro::tree
