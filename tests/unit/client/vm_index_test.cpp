// The registry beside the folders: whatever happens to either, lists tell what the folders hold.
#include "client/vm_index.hpp"

#include "client/process_identity.hpp"
#include "fixture.hpp"

#include <algorithm>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

using namespace pyro;
using client::VmFolder;
using client::VmIndex;
using state::VmKind;
using Ids = std::vector<std::string>;

namespace {

constexpr std::uint64_t kTag = 0x1122334455667788;

struct Home {
  fixture::TempDir folder;
  client::LogRing log{PYRO_LOG_WARNING};
  VmIndex index{folder.path(), log};

  [[nodiscard]] std::string vm(const std::string& id) const { return folder / ("vms/" + id); }
  [[nodiscard]] std::string registry() const { return folder / "registry.db"; }
};

state::VmRecord labelled_record(const std::string& id, const std::string& label = "seven") {
  state::VmRecord record;
  record.id = id;
  record.environment = "debian:12";
  record.mem_mib = 256;
  record.disk_mib = 2048;
  record.created_ns = 1'700'000'000'000'000'000;
  record.labels = {{"agent", label}};
  return record;
}

VmFolder make(VmIndex& index, const std::string& id, const std::string& label = "seven") {
  auto folder = index.make_folder(id);
  REQUIRE(folder.ok());
  REQUIRE(folder->write_record(labelled_record(id, label)).ok());
  REQUIRE(index.look(*folder).ok());
  return std::move(*folder);
}

Ids ids(const base::Result<std::vector<client::VmInfo>>& infos) {
  REQUIRE_MESSAGE(infos.ok(), (infos.ok() ? "" : infos.error().message));
  Ids found;
  for (const auto& info : *infos) {
    found.push_back(info.record.id);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Ids tasks(VmIndex& index, std::uint32_t state_mask = 0, const state::Labels& labels = {}) {
  return ids(index.list({.kind = client::kind_number(VmKind::task), .labels = labels, .state_mask = state_mask}));
}

/// Says what a registry has, past the index.
std::unique_ptr<registry::Registry> open(const Home& home) {
  auto opened = registry::Registry::open(home.registry());
  REQUIRE(opened.ok());
  return std::move(*opened);
}

void write_journal(const VmFolder& folder, std::uint64_t first, std::uint64_t last, bool is_new = true) {
  auto file = folder.open_file(state::kVmCommandsFile, O_RDWR | O_CREAT | O_APPEND, 0600);
  REQUIRE(file.ok());
  base::Bytes all = is_new ? state::journal_header(kTag) : base::Bytes();
  const auto add = [&all](state::JournalRecordType type, const base::Bytes& payload) {
    const auto frame = state::journal_frame(kTag, type, payload);
    all.insert(all.end(), frame.begin(), frame.end());
  };
  if (is_new) {
    add(state::JournalRecordType::machine_started, state::MachineStarted{5, "abcdefgh2345", 2}.encode());
  }
  for (std::uint64_t number = first; number <= last; ++number) {
    state::CommandStarted started;
    started.number = number;
    started.time_ns = static_cast<std::int64_t>(number);
    started.argv = {"true"};
    add(state::JournalRecordType::command_started, started.encode());
  }
  REQUIRE(::write(file->get(), all.data(), all.size()) == static_cast<ssize_t>(all.size()));
}

void damage(const Home& home) {
  REQUIRE(::unlink((home.registry() + "-wal").c_str()) == 0);
  fixture::write_file(home.registry(), std::string(20000, 'x'));
}

}  // namespace

TEST_CASE("vm index: made and removed → in the list until then, by label and state") {
  Home home;
  CHECK(tasks(home.index).empty());
  const auto one = make(home.index, "aaaaaaaaaaaa");
  make(home.index, "bbbbbbbbbbbb", "eight");
  CHECK(tasks(home.index) == Ids{"aaaaaaaaaaaa", "bbbbbbbbbbbb"});
  CHECK(tasks(home.index, 0, {{"agent", "eight"}}) == Ids{"bbbbbbbbbbbb"});
  CHECK(tasks(home.index, 1U << PYRO_VM_RUNNING).empty());
  CHECK(ids(home.index.list({.kind = client::kind_number(VmKind::vm)})).empty());
  REQUIRE(home.index.remove_folder(one).ok());
  CHECK(tasks(home.index) == Ids{"bbbbbbbbbbbb"});
  CHECK_FALSE(fixture::fs::exists(home.vm("aaaaaaaaaaaa")));
}

TEST_CASE("vm index: nothing changed → the list is the rows, no file is read") {
  Home home;
  make(home.index, "aaaaaaaaaaaa");
  CHECK(tasks(home.index) == Ids{"aaaaaaaaaaaa"});
  const auto rows = open(home);
  auto row = **rows->row("aaaaaaaaaaaa");
  CHECK(row.settled);
  CHECK(*rows->stamp());
  row.reason = "from the row";
  REQUIRE(rows->put(row).ok());
  CHECK(home.index.list({.kind = 1})->front().reason == "from the row");
}

TEST_CASE("vm index: folders made, removed and changed past it → seen") {
  Home home;
  make(home.index, "aaaaaaaaaaaa");
  make(home.index, "bbbbbbbbbbbb");
  CHECK(tasks(home.index).size() == 2);
  const auto foreign = VmFolder::create(home.folder.path(), "cccccccccccc");
  REQUIRE(foreign->write_record(labelled_record("cccccccccccc")).ok());
  CHECK(tasks(home.index) == Ids{"aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"});
  fixture::fs::remove_all(home.vm("aaaaaaaaaaaa"));
  CHECK(tasks(home.index) == Ids{"bbbbbbbbbbbb", "cccccccccccc"});
  CHECK_FALSE(*open(home)->row("aaaaaaaaaaaa"));
  auto changed = labelled_record("bbbbbbbbbbbb");
  changed.mem_mib = 512;
  REQUIRE(VmFolder::open(home.folder.path(), "bbbbbbbbbbbb")->write_record(changed).ok());
  const auto infos = home.index.list({.kind = 1});
  for (const auto& info : *infos) {
    CHECK(info.record.mem_mib == (info.record.id == "bbbbbbbbbbbb" ? 512 : 256));
  }
}

TEST_CASE("vm index: cut off between folder and row → the list is what the folders are") {
  Home home;
  make(home.index, "aaaaaaaaaaaa");
  CHECK(tasks(home.index).size() == 1);
  SUBCASE("a folder without its row") {
    const auto folder = VmFolder::create(home.folder.path(), "bbbbbbbbbbbb");
    CHECK(tasks(home.index) == Ids{"aaaaaaaaaaaa"});
    REQUIRE(folder->write_record(labelled_record("bbbbbbbbbbbb")).ok());
    CHECK(tasks(home.index) == Ids{"aaaaaaaaaaaa", "bbbbbbbbbbbb"});
  }
  SUBCASE("a row without its folder") {
    REQUIRE(VmFolder::open(home.folder.path(), "aaaaaaaaaaaa")->hide().value());
    CHECK(tasks(home.index).empty());
    client::sweep_removed_folders(home.folder.path());
    CHECK_FALSE(fixture::fs::exists(home.folder / ".removed-aaaaaaaaaaaa"));
  }
  SUBCASE("a row whose folder's removal nobody could tell by the time") {
    REQUIRE(open(home)->unsettle("bbbbbbbbbbbb").ok());
    CHECK(tasks(home.index) == Ids{"aaaaaaaaaaaa"});
  }
}

TEST_CASE("vm index: somebody has its lock → looked at each time, and its end is seen") {
  Home home;
  const auto folder = make(home.index, "aaaaaaaaaaaa");
  {
    const auto lock = folder.try_lock();
    home.index.note_start(folder);
    REQUIRE(folder.write_run({client::current_boot_id(), 2, 1, 17, 3, true, 0}).ok());
    write_journal(folder, 1, 3);
    CHECK(tasks(home.index, 1U << PYRO_VM_RUNNING) == Ids{"aaaaaaaaaaaa"});
    CHECK_FALSE((*open(home)->row("aaaaaaaaaaaa"))->settled);
  }
  // Nobody said that it has ended.
  CHECK(tasks(home.index, 1U << PYRO_VM_RUNNING).empty());
  CHECK(tasks(home.index, 1U << PYRO_VM_FAILED) == Ids{"aaaaaaaaaaaa"});
  CHECK((*open(home)->row("aaaaaaaaaaaa"))->settled);
  CHECK(home.index.list({.kind = 1})->front().journal.last_number == 3);
}

TEST_CASE("vm index: it ran when the host was rebooted → stopped, with that reason") {
  Home home;
  const auto folder = make(home.index, "aaaaaaaaaaaa");
  home.index.note_start(folder);
  REQUIRE(folder.write_run({"11111111-another-boot", 2, 1, 17, 3, true, 0}).ok());
  write_journal(folder, 1, 1);
  const auto infos = home.index.list({.kind = 1, .state_mask = 1U << PYRO_VM_STOPPED});
  CHECK(infos->front().reason == "the host was rebooted");
}

TEST_CASE("vm index: the registry is damaged → lists say so, all else works, and a rebuild has all again") {
  Home home;
  const auto one = make(home.index, "aaaaaaaaaaaa");
  const auto two = make(home.index, "bbbbbbbbbbbb");
  {
    client::LogRing log{PYRO_LOG_OFF};
    VmIndex other(home.folder.path(), log);
    damage(home);
    const auto refused = other.list({.kind = 1});
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == PYRO_ERROR_STATE);
    CHECK(refused.error().message.find(home.registry()) != std::string::npos);
    CHECK(other.look(one).ok());
    CHECK(other.list_due(0)->size() == 2);
    CHECK(other.remove_folder(one).ok());
    make(other, "cccccccccccc");
    other.note_start(two);
    CHECK(ids(other.rebuild()) == Ids{"bbbbbbbbbbbb", "cccccccccccc"});
    CHECK(tasks(other) == Ids{"bbbbbbbbbbbb", "cccccccccccc"});
  }
  CHECK(tasks(home.index, 0, {{"agent", "seven"}}) == Ids{"bbbbbbbbbbbb", "cccccccccccc"});
}

TEST_CASE("vm index: the registry is gone, or made again by somebody else → the list is right") {
  Home home;
  make(home.index, "aaaaaaaaaaaa");
  CHECK(tasks(home.index).size() == 1);
  SUBCASE("removed") {
    for (const char* name : {"", "-wal", "-shm"}) {
      REQUIRE(::unlink((home.registry() + name).c_str()) == 0);
    }
  }
  SUBCASE("emptied") {
    REQUIRE(registry::Registry::reset(home.registry()).ok());
  }
  CHECK(tasks(home.index) == Ids{"aaaaaaaaaaaa"});
  make(home.index, "bbbbbbbbbbbb");
  CHECK(tasks(home.index).size() == 2);
}

TEST_CASE("vm index: another process keeps the registry busy → everything works without it") {
  Home home;
  make(home.index, "aaaaaaaaaaaa");
  CHECK(tasks(home.index).size() == 1);
  const auto other = open(home);
  {
    const auto change = other->begin();
    REQUIRE(change.ok());
    const auto folder = home.index.make_folder("bbbbbbbbbbbb");
    REQUIRE(folder.ok());
    REQUIRE(folder->write_record(labelled_record("bbbbbbbbbbbb")).ok());
    CHECK(tasks(home.index) == Ids{"aaaaaaaaaaaa", "bbbbbbbbbbbb"});
    CHECK(home.log.take().has_value());
  }
  CHECK(tasks(home.index) == Ids{"aaaaaaaaaaaa", "bbbbbbbbbbbb"});
  CHECK(*open(home)->row("bbbbbbbbbbbb"));
}

TEST_CASE("vm index: made without the registry while another process finishes a change of its own → listed") {
  Home home;
  make(home.index, "aaaaaaaaaaaa");
  CHECK(tasks(home.index).size() == 1);
  const auto other = open(home);
  {
    auto change = other->begin();
    REQUIRE(change.ok());
    REQUIRE(home.index.make_folder("bbbbbbbbbbbb")->write_record(labelled_record("bbbbbbbbbbbb")).ok());
    // It saw a registry that was complete, and moves the time of the folder along.
    struct stat info {};
    REQUIRE(::utimensat(AT_FDCWD, (home.folder / "vms").c_str(), nullptr, 0) == 0);
    REQUIRE(::stat((home.folder / "vms").c_str(), &info) == 0);
    const std::int64_t now_ns = std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
    REQUIRE(other->set_stamp({info.st_dev, info.st_ino, now_ns}).ok());
    REQUIRE(change->commit().ok());
  }
  CHECK(tasks(home.index) == Ids{"aaaaaaaaaaaa", "bbbbbbbbbbbb"});
  // Only once is all looked at.
  CHECK_FALSE(fixture::fs::exists(home.folder / "vms/.changed"));
}

TEST_CASE("vm index: made without the registry → marked before there is a folder") {
  Home home;
  make(home.index, "aaaaaaaaaaaa");
  const auto other = open(home);
  const auto busy = other->begin();
  REQUIRE(busy.ok());
  // As if its maker was killed as soon as it was there.
  CHECK_FALSE(home.index.make_folder("aaaaaaaaaaaa").ok());
  CHECK(fixture::fs::exists(home.folder / "vms/.changed"));
}

TEST_CASE("vm index: started without the registry → found by its state") {
  Home home;
  const auto folder = make(home.index, "aaaaaaaaaaaa");
  const auto running = [&home] { return tasks(home.index, 1U << PYRO_VM_RUNNING); };
  const auto note = [&home, &folder] {
    const auto other = open(home);
    const auto busy = other->begin();
    return home.index.note_start(folder);
  };
  CHECK(running().empty());
  const auto lock = folder.try_lock();
  CHECK_FALSE(note());
  // Whoever lists now sees nothing new.
  CHECK(running().empty());
  REQUIRE(folder.write_run({client::current_boot_id(), 2, 1, 17, 3, true, 0}).ok());
  CHECK_FALSE(note());
  CHECK(running() == Ids{"aaaaaaaaaaaa"});
}

TEST_CASE("vm index: a long journal → read once; where a command is, is known") {
  Home home;
  const auto folder = make(home.index, "aaaaaaaaaaaa");
  write_journal(folder, 1, 3000);
  CHECK(home.index.look(folder)->journal.last_number == 3000);
  CHECK(home.index.last_known_command("aaaaaaaaaaaa", kTag) == 3000);
  CHECK(home.index.last_known_command("aaaaaaaaaaaa", kTag + 1) == 0);
  CHECK_FALSE(home.index.place_of_command("aaaaaaaaaaaa", kTag + 1, 3000));
  const auto place = home.index.place_of_command("aaaaaaaaaaaa", kTag, 2900);
  REQUIRE(place);
  auto journal = client::JournalFile::open(std::move(*folder.open_file(state::kVmCommandsFile, O_RDONLY)));
  journal->go_to(*place);
  std::uint64_t first = 0;
  REQUIRE(journal
              ->read([&first](const auto& frame) {
                first = state::CommandStarted::decode(frame.payload)->number;
                return false;
              })
              .ok());
  CHECK(first == 2816);
  // What was read is not read again: it could be anything by now.
  auto file = folder.open_file(state::kVmCommandsFile, O_RDWR);
  const std::string junk(1000, 'x');
  REQUIRE(::pwrite(file->get(), junk.data(), junk.size(), 100) == 1000);
  write_journal(folder, 3001, 3010, false);
  const auto info = home.index.look(folder);
  CHECK(info->journal.last_number == 3010);
  CHECK(info->journal.started);
  // Another journal in its place.
  REQUIRE(::ftruncate(file->get(), 0) == 0);
  write_journal(folder, 1, 2);
  CHECK(home.index.look(folder)->journal.last_number == 2);
}

TEST_CASE("vm index: a forked child → lists from the folders, and leaves the registry alone") {
  Home home;
  make(home.index, "aaaaaaaaaaaa");
  CHECK(tasks(home.index).size() == 1);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto listed = home.index.list({.kind = 1});
    const bool made = home.index.make_folder("bbbbbbbbbbbb").ok();
    // A new one neither: SQLite's state is the parent's.
    client::LogRing log{PYRO_LOG_WARNING};
    VmIndex fresh(home.folder.path(), log);
    const bool refused = fresh.check().error().code == PYRO_ERROR_FORKED && fresh.list({.kind = 1}).ok() &&
                         fresh.rebuild().error().code == PYRO_ERROR_FORKED;
    ::_exit(listed.ok() && listed->size() == 1 && made && refused ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  make(home.index, "cccccccccccc");
  CHECK(tasks(home.index) == Ids{"aaaaaaaaaaaa", "cccccccccccc"});
}
