// The index itself: what is put in comes out, to others as well, and what is broken is said.
#include "registry/registry.hpp"

#include "base/io.hpp"
#include "registry/schema.hpp"
#include "scratch_folder.hpp"
#include "version_1.hpp"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

using namespace pyro;
using registry::Registry;
using registry::Row;

namespace {

std::unique_ptr<Registry> open(const ScratchFolder& folder) {
  auto opened = Registry::open(folder.path("registry.db"));
  REQUIRE_MESSAGE(opened.ok(), (opened.ok() ? "" : opened.error().message));
  return std::move(opened).value();
}

Row make_row(const std::string& id, std::uint32_t kind = 1) {
  Row row;
  row.id = id;
  row.kind = kind;
  row.settled = true;
  row.changed_ns = 1'700'000'000'123'456'789;
  row.state = 4;
  row.due_at = 1'800'000'000;
  row.created_ns = 5;
  row.started_ns = 6;
  row.last_use_ns = 7;
  row.retention_ms = 8;
  row.engine = 2;
  row.vcpu_count = 3;
  row.mem_mib = 256;
  row.disk_mib = 2048;
  row.command_count = 12;
  row.disk_used_bytes = 1U << 30;
  row.environment = "debian:12";
  row.reason = "a client stopped it";
  row.labels = {{"agent", "seven"}, {"note", "a = b"}, {"nothing", ""}};
  return row;
}

std::vector<std::string> ids(const base::Result<std::vector<Row>>& rows) {
  REQUIRE(rows.ok());
  std::vector<std::string> found;
  for (const Row& row : *rows) {
    found.push_back(row.id);
  }
  std::sort(found.begin(), found.end());
  return found;
}

void write_at(const std::string& path, off_t offset, std::size_t size, char byte) {
  const base::Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  const std::string bytes(size, byte);
  REQUIRE(::pwrite(file.get(), bytes.data(), bytes.size(), offset) == static_cast<ssize_t>(size));
}

// All of it in the file itself, and nobody has it open.
void fill_and_close(const ScratchFolder& folder) {
  const auto opened = open(folder);
  auto change = opened->begin();
  REQUIRE(change.ok());
  for (int number = 0; number < 500; ++number) {
    REQUIRE(opened->put(make_row(fmt::format("row{}", number))).ok());
  }
  REQUIRE(change->commit().ok());
  const auto database = registry::Database::open(folder.path("registry.db"), 100);
  REQUIRE(database->run("PRAGMA wal_checkpoint(TRUNCATE)").ok());
}

}  // namespace

TEST_SUITE("registry") {
  TEST_CASE("registry: a row → the same row, with its labels, for others too") {
    const ScratchFolder folder;
    const auto one = open(folder);
    const auto other = open(folder);
    REQUIRE(one->put(make_row("aaaa")).ok());
    const auto found = other->row("aaaa");
    REQUIRE(found.ok());
    REQUIRE(*found);
    CHECK(**found == make_row("aaaa"));
    CHECK_FALSE(*other->row("bbbb"));
    auto changed = make_row("aaaa");
    changed.labels = {{"agent", "eight"}};
    REQUIRE(other->put(changed).ok());
    CHECK(**one->row("aaaa") == changed);
    REQUIRE(one->remove("aaaa").ok());
    CHECK_FALSE(*other->row("aaaa"));
  }

  TEST_CASE("registry: its files → for its user only") {
    const ScratchFolder folder;
    const auto opened = open(folder);
    REQUIRE(opened->put(make_row("aaaa")).ok());
    for (const char* name : {"registry.db", "registry.db-wal", "registry.db-shm"}) {
      struct stat info {};
      REQUIRE(::stat(folder.path(name).c_str(), &info) == 0);
      CHECK((info.st_mode & 0777) == 0600);
    }
  }

  TEST_CASE("registry: filters → kind, state and all labels; what is not settled comes always") {
    const ScratchFolder folder;
    const auto opened = open(folder);
    auto stopped = make_row("stop");
    auto failed = make_row("fail");
    failed.state = 5;
    auto vm = make_row("avm", 2);
    auto plain = make_row("plain");
    plain.labels.clear();
    for (const Row& row : {stopped, failed, vm, plain}) {
      REQUIRE(opened->put(row).ok());
    }
    using Ids = std::vector<std::string>;
    CHECK(ids(opened->find({.kind = 1})) == Ids{"fail", "plain", "stop"});
    CHECK(ids(opened->find({.kind = 1, .state_mask = 1U << 5})) == Ids{"fail"});
    CHECK(ids(opened->find({.kind = 1, .labels = {{"agent", "seven"}}})) == Ids{"fail", "stop"});
    CHECK(ids(opened->find({.kind = 1, .labels = {{"agent", "seven"}, {"note", "a = b"}}, .state_mask = 1U << 4})) ==
          Ids{"stop"});
    CHECK(ids(opened->find({.kind = 1, .labels = {{"agent", "' OR 1 = 1"}}})).empty());
    REQUIRE(opened->unsettle("avm").ok());
    REQUIRE(opened->unsettle("new").ok());
    CHECK(ids(opened->find({.kind = 1, .state_mask = 1U << 5})) == Ids{"avm", "fail", "new"});
    CHECK((*opened->row("avm"))->environment == "debian:12");
  }

  TEST_CASE("registry: what is due → by time, and what is not settled") {
    const ScratchFolder folder;
    const auto opened = open(folder);
    for (const std::int64_t at : {0, 10, 20, 30}) {
      auto row = make_row(fmt::format("at{}", at));
      row.due_at = at;
      REQUIRE(opened->put(row).ok());
    }
    REQUIRE(opened->unsettle("at30").ok());
    CHECK(opened->due(20).value() == std::vector<std::string>{"at10", "at20", "at30"});
  }

  TEST_CASE("registry: a change without a commit → nothing of it") {
    const ScratchFolder folder;
    const auto opened = open(folder);
    {
      const auto change = opened->begin();
      REQUIRE(change.ok());
      REQUIRE(opened->put(make_row("aaaa")).ok());
      REQUIRE(opened->set_stamp({1, 2, 3}).ok());
    }
    CHECK_FALSE(*opened->row("aaaa"));
    CHECK_FALSE(*opened->stamp());
  }

  TEST_CASE("registry: another process changes it for long → TIMEOUT soon, reading goes on") {
    const ScratchFolder folder;
    const auto one = open(folder);
    const auto other = open(folder);
    REQUIRE(one->put(make_row("aaaa")).ok());
    auto change = one->begin();
    REQUIRE(change.ok());
    const auto refused = other->put(make_row("bbbb"));
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == PYRO_ERROR_TIMEOUT);
    CHECK(*other->row("aaaa"));
  }

  TEST_CASE("registry: the stamp of the folders → kept with every bit") {
    const ScratchFolder folder;
    const auto opened = open(folder);
    const registry::FolderStamp stamp{~std::uint64_t{0}, std::uint64_t{1} << 63, -5};
    REQUIRE(opened->set_stamp({1, 1, 1}).ok());
    REQUIRE(opened->set_stamp(stamp).ok());
    CHECK(**opened->stamp() == stamp);
  }

  TEST_CASE("registry: places in journals → the last mark at or before a command") {
    const ScratchFolder folder;
    const auto opened = open(folder);
    registry::JournalPlace place{~std::uint64_t{0}, 1000, 700, 9, std::string("a\0b", 3), ""};
    REQUIRE(opened->put_journal("aaaa", place, {{256, 100}, {512, 200}}).ok());
    CHECK(**opened->journal("aaaa") == place);
    CHECK_FALSE(*opened->mark_before("aaaa", 255));
    CHECK((*opened->mark_before("aaaa", 511))->offset_bytes == 100);
    CHECK((*opened->mark_before("aaaa", 9999))->offset_bytes == 200);
    CHECK_FALSE(*opened->mark_before("bbbb", 9999));
    place.tag = 7;  // another file
    REQUIRE(opened->put_journal("aaaa", place, {{256, 150}}).ok());
    CHECK((*opened->mark_before("aaaa", 9999))->number == 256);
    REQUIRE(opened->remove("aaaa").ok());
    CHECK_FALSE(*opened->journal("aaaa"));
    CHECK_FALSE(*opened->mark_before("aaaa", 9999));
  }

  TEST_CASE("registry: another file in its place → noticed") {
    const ScratchFolder folder;
    const auto opened = open(folder);
    CHECK(opened->is_current());
    REQUIRE(::unlink(folder.path("registry.db").c_str()) == 0);
    CHECK_FALSE(opened->is_current());
    const auto other = open(folder);
    CHECK(other->is_current());
    CHECK_FALSE(opened->is_current());
  }

  TEST_CASE("registry: a damaged file → STATE with the remedy; a reset mends it, for who has it open too") {
    const ScratchFolder folder;
    fill_and_close(folder);
    const std::string path = folder.path("registry.db");
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    SUBCASE("garbage for a header") {
      write_at(path, 0, 100, 'x');
    }
    SUBCASE("cut off") {
      REQUIRE(::truncate(path.c_str(), info.st_size / 2) == 0);
    }
    SUBCASE("cut off within the header") {
      REQUIRE(::truncate(path.c_str(), 50) == 0);
    }
    SUBCASE("pages of zeros") {
      write_at(path, 4096, static_cast<std::size_t>(info.st_size) - 4096, '\0');
    }
    SUBCASE("something else altogether") {
      write_at(path, 0, static_cast<std::size_t>(info.st_size), 'x');
    }
    const auto opened = Registry::open(path);
    const auto rows = opened.ok() ? (*opened)->find({.kind = 1}) : base::Result<std::vector<Row>>(opened.error());
    REQUIRE_FALSE(rows.ok());
    CHECK(rows.error().code == PYRO_ERROR_STATE);
    CHECK(rows.error().message.find(path) != std::string::npos);
    CHECK(rows.error().message.find("pyro registry rebuild") != std::string::npos);

    const auto reset = Registry::reset(path);
    CHECK_MESSAGE(reset.ok(), (reset.ok() ? "" : reset.error().message));
    const auto mended = open(folder);
    CHECK(ids(mended->find({.kind = 1})).empty());
    REQUIRE(mended->put(make_row("aaaa")).ok());
    CHECK(ids(mended->find({.kind = 1})).size() == 1);
  }

  TEST_CASE("registry: a reset while others have it open → they see it empty and go on") {
    const ScratchFolder folder;
    const auto opened = open(folder);
    REQUIRE(opened->put(make_row("aaaa")).ok());
    REQUIRE(Registry::reset(folder.path("registry.db")).ok());
    // Its tables are gone until somebody opens it.
    const auto gone = opened->row("aaaa");
    CHECK_FALSE(gone.ok());
    const auto again = open(folder);
    CHECK_FALSE(*again->row("aaaa"));
    CHECK_FALSE(*opened->row("aaaa"));
    REQUIRE(opened->put(make_row("bbbb")).ok());
    CHECK(*again->row("bbbb"));
  }

  TEST_CASE("registry: a reset while another writes → TIMEOUT, and the same file as before") {
    const ScratchFolder folder;
    const std::string path = folder.path("registry.db");
    const auto writer = open(folder);
    struct stat before {};
    REQUIRE(::stat(path.c_str(), &before) == 0);
    {
      const auto transaction = writer->begin();
      REQUIRE(transaction.ok());
      CHECK(Registry::reset(path).error().code == PYRO_ERROR_TIMEOUT);
    }
    struct stat after {};
    REQUIRE(::stat(path.c_str(), &after) == 0);
    CHECK(before.st_ino == after.st_ino);
    CHECK(writer->find({}).ok());
  }

  TEST_CASE("registry: a filter without a kind → settled rows of both kinds") {
    const ScratchFolder folder;
    const auto opened = open(folder);
    REQUIRE(opened->put(make_row("aaaa", 1)).ok());
    REQUIRE(opened->put(make_row("bbbb", 2)).ok());
    CHECK(opened->find({})->size() == 2);
    CHECK(opened->find({.kind = 2})->size() == 1);
  }

  TEST_CASE("registry: a newer version → UNSUPPORTED, and nothing of it is touched, by a reset neither") {
    const ScratchFolder folder;
    {
      const auto opened = open(folder);
      REQUIRE(opened->put(make_row("aaaa")).ok());
    }
    const std::string path = folder.path("registry.db");
    {
      const auto database = registry::Database::open(path, 100);
      REQUIRE(database->run("PRAGMA user_version = 99; ALTER TABLE vms ADD COLUMN colour TEXT").ok());
      REQUIRE(database->run("PRAGMA wal_checkpoint(TRUNCATE)").ok());
    }
    const std::string before = base::read_file(path, 1 << 20).value();
    const auto refused = Registry::open(path);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == PYRO_ERROR_UNSUPPORTED);
    CHECK(Registry::reset(path).error().code == PYRO_ERROR_UNSUPPORTED);
    CHECK(base::read_file(path, 1 << 20).value() == before);
  }

  TEST_CASE("registry: a file of version 1 → its rows are there, and what version 2 added works") {
    const ScratchFolder folder;
    const std::string path = folder.path("registry.db");
    REQUIRE(base::write_file_atomically(path, "", 0600).ok());
    {
      const auto database = registry::Database::open(path, 100);
      REQUIRE(database.ok());
      const auto loaded = database->run(kVersion1);
      REQUIRE_MESSAGE(loaded.ok(), (loaded.ok() ? "" : loaded.error().message));
    }
    SUBCASE("whole") {
      const auto opened = open(folder);
      const auto row = opened->row("k7dq2mxw4zpa");
      REQUIRE(row.ok());
      REQUIRE(*row);
      CHECK((*row)->reason == "a client stopped it");
      CHECK((*row)->labels == std::vector<std::pair<std::string, std::string>>{{"agent", "seven"}});
      CHECK(ids(opened->find({.kind = 1, .labels = {{"agent", "seven"}}})).size() == 1);
      CHECK((*opened->stamp())->changed_ns == 1764183600123456789);
      REQUIRE(opened->put_journal("k7dq2mxw4zpa", {1, 2, 3, 4, "", ""}, {{1, 24}}).ok());
      CHECK(*opened->mark_before("k7dq2mxw4zpa", 1));
      const auto database = registry::Database::open(path, 100);
      CHECK(database->number("PRAGMA user_version").value() == registry::kSchemaVersion);
    }
    SUBCASE("its migration is cut off → it is still version 1, and the next one migrates") {
      {
        const auto database = registry::Database::open(path, 100);
        const auto change = registry::Transaction::begin(*database);
        REQUIRE(database->run("CREATE TABLE journals(vm TEXT)").ok());
      }
      const auto opened = open(folder);
      CHECK(*opened->row("k7dq2mxw4zpa"));
      CHECK(opened->journal("k7dq2mxw4zpa").ok());
    }
  }
}
