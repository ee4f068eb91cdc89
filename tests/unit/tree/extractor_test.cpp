#include "tree/extractor.hpp"

#include <string>

#include <doctest/doctest.h>

#include <sys/stat.h>

#include "fixture.hpp"

namespace pyro::tree {

namespace {

struct Outcome {
  pyro_status status = PYRO_OK;
  std::string message;
  Counts counts;
};

Outcome extract_with(Extractor& extractor, const base::Bytes& bytes) {
  auto status = extractor.feed(bytes);
  if (status.ok()) {
    status = extractor.finish();
  }
  return {status.ok() ? PYRO_OK : status.error().code, status.ok() ? "" : status.error().message, extractor.counts()};
}

Outcome extract(const Folder& folder, const base::Bytes& bytes, const Limits& limits = {}) {
  Extractor extractor(folder.open(), limits, folder.path());
  return extract_with(extractor, bytes);
}

pyro_status extract_entry(const Folder& folder, const TarEntry& entry, const std::string& content = {}) {
  return extract(folder, Stream().add(entry, content).end()).status;
}

mode_t mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

}  // namespace

TEST_SUITE("tree") {
  TEST_CASE("extractor: a tree → is made as it was, with modes and times") {
    const Folder folder;
    TarEntry program = make_entry(EntryType::file, "dir/program");
    program.mode = 06755;
    const auto outcome = extract(folder, Stream()
                                             .add(make_entry(EntryType::directory, "."))
                                             .add(make_entry(EntryType::directory, "dir"))
                                             .add(program, "#!/bin/sh\n")
                                             .file("implied/deep/file", "x")
                                             .file("empty", "")
                                             .add(make_entry(EntryType::symlink, "link", "../../etc/passwd"))
                                             .add(make_entry(EntryType::hard_link, "hard", "dir/program"))
                                             .end());
    REQUIRE_MESSAGE(outcome.status == PYRO_OK, outcome.message);
    CHECK(outcome.counts.entries == 7);
    CHECK(outcome.counts.bytes == 11);
    CHECK(folder.read("dir/program") == "#!/bin/sh\n");
    CHECK(folder.read("hard") == "#!/bin/sh\n");
    CHECK(folder.read("implied/deep/file") == "x");
    CHECK(folder.read("empty").empty());
    CHECK(mode_of(folder / "dir/program") == 0755);
    CHECK(std::filesystem::read_symlink(folder / "link") == "../../etc/passwd");
    struct stat info {};
    REQUIRE(::stat((folder / "dir/program").c_str(), &info) == 0);
    CHECK(info.st_mtime == 1'700'000'000);
  }

  TEST_CASE("extractor: a umask → what is made has none of its bits, but directories stay open to their owner") {
    const Folder folder;
    TarEntry file = make_entry(EntryType::file, "d/f");
    file.mode = 06777;
    TarEntry directory = make_entry(EntryType::directory, "d");
    directory.mode = 01777;
    Extractor extractor(folder.open(), {}, folder.path(), 0327);
    REQUIRE(extract_with(extractor, Stream().add(directory).add(file).end()).status == PYRO_OK);
    CHECK(mode_of(folder / "d") == 0750);
    CHECK(mode_of(folder / "d/f") == 0450);
    Extractor single(folder.open(), "mine", {}, folder / "mine", 077);
    REQUIRE(extract_with(single, Stream().add(file).end()).status == PYRO_OK);
    CHECK(mode_of(folder / "mine") == 0700);
  }

  TEST_CASE("extractor: what is there already → is replaced, a link itself and not what it leads to") {
    const Folder outside;
    outside.write("victim", "untouched");
    const Folder folder;
    folder.write("file", "old");
    std::filesystem::create_symlink(outside / "victim", folder / "link");
    CHECK(extract(folder, Stream().file("file", "new").file("link", "mine").end()).status == PYRO_OK);
    CHECK(folder.read("file") == "new");
    CHECK(folder.read("link") == "mine");
    CHECK(outside.read("victim") == "untouched");
    CHECK(extract(folder, Stream().add(make_entry(EntryType::symlink, "file", "else")).end()).status == PYRO_OK);
    CHECK(std::filesystem::is_symlink(folder / "file"));
  }

  TEST_CASE("extractor: paths that lead out → refused, nothing written") {
    const Folder outer;
    std::filesystem::create_directory(outer / "root");
    for (const char* path : {"/etc/x", "../x", "a/../../x", "a/..", "..", "./../x", "//x", "a/./../../x"}) {
      Extractor extractor(base::Fd(::open((outer / "root").c_str(), O_RDONLY | O_DIRECTORY)), {}, "root");
      CHECK_MESSAGE(extract_with(extractor, Stream().file(path, "bad").end()).status == PYRO_ERROR_INVALID, path);
    }
    CHECK(outer.names() == std::vector<std::string>{"root"});
  }

  TEST_CASE("extractor: a path through a link, own or foreign → refused, nothing behind it") {
    const Folder outside;
    const Folder folder;
    const auto own = Stream().add(make_entry(EntryType::symlink, "out", outside.path())).file("out/x", "bad").end();
    CHECK(extract(folder, own).status == PYRO_ERROR_STATE);
    const auto deeper = Stream()
                            .add(make_entry(EntryType::directory, "d"))
                            .add(make_entry(EntryType::symlink, "d/up", "../.."))
                            .file("d/up/x", "bad")
                            .end();
    CHECK(extract(folder, deeper).status == PYRO_ERROR_STATE);
    CHECK(extract_entry(folder, make_entry(EntryType::directory, "out")) == PYRO_ERROR_STATE);
    CHECK(extract_entry(folder, make_entry(EntryType::hard_link, "h", "out/x")) == PYRO_ERROR_STATE);
    CHECK(outside.names().empty());
  }

  TEST_CASE("extractor: a directory becomes a link between two entries of it → refused") {
    const Folder outside;
    const Folder folder;
    // The descriptor of the directory that was looked up last is no way around.
    const auto outcome = extract(folder, Stream()
                                             .file("d/first", "1")
                                             .add(make_entry(EntryType::symlink, "d", outside.path()))
                                             .file("d/second", "2")
                                             .end());
    CHECK(outcome.status == PYRO_ERROR_STATE);
    CHECK(outside.names().empty());
  }

  TEST_CASE("extractor: hard links out of the tree, to links, to directories, to nothing → refused") {
    const Folder outside;
    outside.write("secret", "s");
    const Folder folder;
    std::filesystem::create_symlink(outside / "secret", folder / "link");
    std::filesystem::create_directory(folder / "dir");
    CHECK(extract_entry(folder, make_entry(EntryType::hard_link, "a", outside / "secret")) == PYRO_ERROR_INVALID);
    CHECK(extract_entry(folder, make_entry(EntryType::hard_link, "a", "../secret")) == PYRO_ERROR_INVALID);
    CHECK(extract_entry(folder, make_entry(EntryType::hard_link, "a", "link")) == PYRO_ERROR_INVALID);
    CHECK(extract_entry(folder, make_entry(EntryType::hard_link, "a", "dir")) == PYRO_ERROR_INVALID);
    CHECK(extract_entry(folder, make_entry(EntryType::hard_link, "a", ".")) == PYRO_ERROR_STATE);
    CHECK(extract_entry(folder, make_entry(EntryType::hard_link, "a", "missing/b")) == PYRO_ERROR_NOT_FOUND);
    CHECK_FALSE(folder.has("a"));
  }

  TEST_CASE("extractor: devices, FIFOs → left out and counted") {
    const Folder folder;
    base::Bytes device = tar_header(make_entry(EntryType::file, "dev"));
    device[kTarType.offset] = std::byte{'3'};
    fix_checksum(device);
    const auto outcome = extract(folder, Stream().append(device).file("a", "x").end());
    REQUIRE_MESSAGE(outcome.status == PYRO_OK, outcome.message);
    CHECK(outcome.counts.skipped == 1);
    CHECK(outcome.counts.entries == 1);
    CHECK(folder.names() == std::vector<std::string>{"a"});
  }

  TEST_CASE("extractor: more entries, bytes, length or depth than allowed → LIMIT before it is written") {
    const Folder folder;
    Limits limits;
    limits.max_entries = 2;
    CHECK(extract(folder, Stream().file("a", "").file("b", "").file("c", "").end(), limits).status == PYRO_ERROR_LIMIT);
    CHECK_FALSE(folder.has("c"));
    // Directories that the tar does not name count as well.
    CHECK(extract(folder, Stream().file("x/y/z/f", "").end(), limits).status == PYRO_ERROR_LIMIT);
    CHECK_FALSE(folder.has("x/y/z"));
    limits = {};
    limits.max_bytes = 10;
    TarEntry huge = make_entry(EntryType::file, "huge");
    huge.size = std::uint64_t{1} << 62;
    CHECK(extract(folder, tar_header(huge), limits).status == PYRO_ERROR_LIMIT);
    CHECK(extract(folder, Stream().file("d", "123456").file("e", "123456").end(), limits).status == PYRO_ERROR_LIMIT);
    CHECK_FALSE(folder.has("e"));
    limits = {};
    limits.max_path_bytes = 4;
    CHECK(extract(folder, Stream().file("12345", "").end(), limits).status == PYRO_ERROR_LIMIT);
    std::string deep;
    for (std::size_t i = 0; i <= kMaxDepth; ++i) {
      deep += "d/";
    }
    CHECK(extract(folder, Stream().file(deep + "x", "").end()).status == PYRO_ERROR_LIMIT);
    CHECK(extract_entry(folder, make_entry(EntryType::file, std::string(256, 'n'))) == PYRO_ERROR_INVALID);
  }

  TEST_CASE("extractor: a stream that is cut off → INVALID, and no half file under its name") {
    const Folder folder;
    const base::Bytes bytes = Stream().file("whole", "1").file("half", std::string(2000, 'h')).end();
    Extractor extractor(folder.open(), {}, folder.path());
    CHECK(extractor.feed(base::ByteView(bytes).first(2000)).ok());
    CHECK(extractor.finish().error().code == PYRO_ERROR_INVALID);
    CHECK(folder.names() == std::vector<std::string>{"whole"});
  }

  TEST_CASE("extractor: one file → gets the caller's name, or its own without a folder") {
    const Folder folder;
    Extractor named(folder.open(), "mine", {}, folder / "mine");
    CHECK(extract_with(named, Stream().file("../../theirs", "x").end()).status == PYRO_OK);
    CHECK(folder.read("mine") == "x");
    Extractor own(folder.open(), "", {}, folder.path());
    CHECK(extract_with(own, Stream().file("theirs", "y").end()).status == PYRO_OK);
    CHECK(folder.read("theirs") == "y");
    for (const auto& bytes :
         {Stream().add(make_entry(EntryType::symlink, "l", "t")).end(), Stream().file("a", "").file("b", "").end(),
          Stream().add(make_entry(EntryType::directory, "d")).end(), Stream().end()}) {
      Extractor refused(folder.open(), "other", {}, folder / "other");
      CHECK(extract_with(refused, bytes).status == PYRO_ERROR_INVALID);
    }
  }

  TEST_CASE("extractor: a file where a directory is, and the other way round → STATE") {
    const Folder folder;
    std::filesystem::create_directory(folder / "dir");
    folder.write("file", "x");
    CHECK(extract_entry(folder, make_entry(EntryType::file, "dir"), "x") == PYRO_ERROR_STATE);
    CHECK(extract_entry(folder, make_entry(EntryType::directory, "file")) == PYRO_ERROR_STATE);
    CHECK(extract_entry(folder, make_entry(EntryType::file, "file/x"), "x") == PYRO_ERROR_STATE);
  }
}

}  // namespace pyro::tree
