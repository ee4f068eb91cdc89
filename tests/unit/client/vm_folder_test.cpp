// What is kept of a task, without any VM.
#include "client/vm_folder.hpp"

#include "base/io.hpp"
#include "client/journal_file.hpp"
#include "client/process_identity.hpp"
#include "client/vm_info.hpp"
#include "fixture.hpp"
#include "journal_writer.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace pyro;
using client::VmFolder;
using state::JournalRecordType;

namespace {

state::VmRecord record_of(const std::string& id) {
  state::VmRecord record;
  record.id = id;
  record.environment = "debian:12";
  record.vcpu_count = 1;
  record.mem_mib = 256;
  record.disk_mib = 64;
  record.retention_ms = 1000;
  record.created_ns = 1'000'000'000;
  return record;
}

VmFolder make_folder(const fixture::TempDir& home, const std::string& id = "abcdefgh2345") {
  auto folder = VmFolder::create(home.path(), id);
  REQUIRE(folder.ok());
  return std::move(*folder);
}

/// The commands file of a folder, with records.
class Journal : public fixture::JournalWriter {
 public:
  explicit Journal(const VmFolder& folder) : JournalWriter(folder, state::kVmCommandsFile) {}
  void started(std::int64_t time_ns) {
    add(JournalRecordType::machine_started, state::MachineStarted{time_ns, "abcdefgh2345", 2});
  }
  void ended(pyro_status status, const std::string& reason) {
    add(JournalRecordType::machine_ended, state::MachineEnded{9, status, reason});
  }
  void command(std::uint64_t number, std::size_t argument_bytes = 1) {
    state::CommandStarted record;
    record.number = number;
    record.time_ns = static_cast<std::int64_t>(number);
    record.argv = {std::string(argument_bytes, 'x')};
    add(JournalRecordType::command_started, record);
  }
};

bool remove(const VmFolder& folder) {
  const auto hidden = folder.hide();
  return hidden.ok() && (!*hidden || folder.erase_hidden().ok());
}

client::VmInfo info_of(const VmFolder& folder) {
  auto info = client::look_at_vm(folder);
  REQUIRE(info.ok());
  return std::move(*info);
}

}  // namespace

TEST_CASE("vm folder: without a record → there is no such VM; with one → it is read back") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  CHECK(folder.record().error().code == PYRO_ERROR_NOT_FOUND);
  REQUIRE(folder.write_record(record_of(folder.id())).ok());
  CHECK(*folder.record() == record_of(folder.id()));
  CHECK_FALSE(folder.run()->has_value());
  CHECK(VmFolder::create(home.path(), folder.id()).error().code == PYRO_ERROR_EXISTS);
  CHECK(VmFolder::open(home.path(), "zzzzzzzz2345").error().code == PYRO_ERROR_NOT_FOUND);
  CHECK(VmFolder::open(home.path(), "../../../etc").error().code == PYRO_ERROR_INVALID);
  CHECK(client::list_vm_ids(home.path())->size() == 1);
}

TEST_CASE("vm folder: a record of another VM, or a link to somewhere else → refused") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  REQUIRE(folder.write_record(record_of("zzzzzzzz2345")).ok());
  CHECK(folder.record().error().code == PYRO_ERROR_INTERNAL);
  const std::string file = home.path() + "/vms/abcdefgh2345/record.json";
  REQUIRE(::unlink(file.c_str()) == 0);
  REQUIRE(::symlink("/etc/passwd", file.c_str()) == 0);
  CHECK_FALSE(folder.record().ok());
  std::filesystem::create_directory_symlink("/tmp", home.path() + "/vms/linklinklink");
  CHECK_FALSE(VmFolder::open(home.path(), "linklinklink").ok());
}

TEST_CASE("vm folder: the lock → one holder, seen by all, until it is released, whoever has the descriptor") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  CHECK_FALSE(*folder.is_locked());
  auto lock = folder.try_lock();
  REQUIRE(lock.ok());
  REQUIRE(lock->has_value());
  CHECK_FALSE(folder.try_lock()->has_value());
  CHECK(*folder.is_locked());
  const base::Fd copy(::fcntl((*lock)->fd(), F_DUPFD_CLOEXEC, 3));
  lock->reset();
  CHECK_FALSE(*folder.is_locked());
}

TEST_CASE("vm folder: its socket → 0600, connects while somebody listens, else the VM does not run") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  CHECK(folder.connect().error().code == PYRO_ERROR_STATE);
  {
    auto listener = folder.listen();
    REQUIRE(listener.ok());
    struct stat info {};
    REQUIRE(::stat((home.path() + "/vms/abcdefgh2345/socket").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    CHECK(folder.connect()->has_value());
  }
  CHECK(folder.connect().error().code == PYRO_ERROR_STATE);
  // In the place of the old one.
  CHECK(folder.listen().ok());
}

TEST_CASE("vm folder: removed → nothing is left, what an interrupted write left neither") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  REQUIRE(folder.write_record(record_of(folder.id())).ok());
  REQUIRE(folder.write_run({"boot", 2, 1, 2, 3}).ok());
  std::ofstream(home.path() + "/vms/abcdefgh2345/record.json.17.0.tmp") << "{";
  const auto lock = folder.try_lock();
  std::filesystem::create_directory(home.path() + "/.removed-zzzzzzzz2345");
  // Where the folder of all VMs is a file system of its own.
  std::filesystem::create_directories(home.path() + "/vms/.removed/zzzzzzzz2345");
  client::sweep_removed_folders(home.path());
  REQUIRE(remove(folder));
  CHECK(std::filesystem::is_empty(home.path() + "/vms"));
  CHECK_FALSE(std::filesystem::exists(home.path() + "/.removed-abcdefgh2345"));
  CHECK_FALSE(std::filesystem::exists(home.path() + "/.removed-zzzzzzzz2345"));
  CHECK(client::list_vm_ids(home.path())->empty());
  CHECK(folder.record().error().code == PYRO_ERROR_NOT_FOUND);
  CHECK(remove(folder));
}

TEST_CASE("vm folders: reaping by who creates one → once in a while, not at each creation") {
  const fixture::TempDir home;
  CHECK_FALSE(client::begin_periodic_reap(home.path(), 60));
  make_folder(home);
  CHECK(client::begin_periodic_reap(home.path(), 60));
  CHECK_FALSE(client::begin_periodic_reap(home.path(), 60));
  CHECK(client::begin_periodic_reap(home.path(), 0));
  CHECK(client::list_vm_ids(home.path())->size() == 1);
}

TEST_CASE("vm info: what the journal says → the state, and why") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  REQUIRE(folder.write_record(record_of(folder.id())).ok());
  CHECK(info_of(folder).state == PYRO_VM_CREATED);
  REQUIRE(folder.write_run({client::current_boot_id(), 2, 1, 0, 0}).ok());
  CHECK(info_of(folder).state == PYRO_VM_FAILED);
  Journal journal(folder);
  journal.started(5);
  journal.command(1);
  CHECK(info_of(folder).state == PYRO_VM_FAILED);
  CHECK(info_of(folder).reason.find("killed") != std::string::npos);
  journal.ended(PYRO_OK, "a client stopped it");
  CHECK(info_of(folder).state == PYRO_VM_STOPPED);
  CHECK(info_of(folder).reason == "a client stopped it");
  journal.started(7);
  CHECK(info_of(folder).state == PYRO_VM_FAILED);
  journal.ended(PYRO_ERROR_OUTCOME_UNKNOWN, "lost\x1b[31m");
  CHECK(info_of(folder).state == PYRO_VM_FAILED);
  CHECK(info_of(folder).reason == "lost");
  CHECK(info_of(folder).journal.last_number == 1);
}

TEST_CASE("vm info: it ran when the host was rebooted → stopped, with that reason") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  REQUIRE(folder.write_record(record_of(folder.id())).ok());
  REQUIRE(folder.write_run({"11111111-another-boot", 2, 1, 17, 3}).ok());
  Journal(folder).started(5);
  CHECK(info_of(folder).state == PYRO_VM_STOPPED);
  CHECK(info_of(folder).reason == "the host was rebooted");
}

TEST_CASE("vm info: somebody holds the lock → running once its guest was ready, before that starting") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  REQUIRE(folder.write_record(record_of(folder.id())).ok());
  const auto lock = folder.try_lock();
  REQUIRE(folder.write_run({"boot", 2, 1, 0, 0}).ok());
  CHECK(info_of(folder).state == PYRO_VM_STARTING);
  REQUIRE(folder.write_run({"boot", 2, 1, 17, 3, true, 0}).ok());
  CHECK(info_of(folder).state == PYRO_VM_RUNNING);
  CHECK(client::delete_at(info_of(folder)) == 0);
  // Its last word counts more than a process on its way out.
  Journal journal(folder);
  journal.started(5);
  journal.ended(PYRO_OK, "a client stopped it");
  CHECK(info_of(folder).state == PYRO_VM_STOPPED);
  CHECK(client::look_at_locked_vm(folder)->state == PYRO_VM_STOPPED);
}

TEST_CASE("vm info: it ended without a word → its retention counts from when that was found") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  REQUIRE(folder.write_record(record_of(folder.id())).ok());
  state::VmRun run{client::current_boot_id(), 2, 1, 17, 3, true, 0};
  REQUIRE(folder.write_run(run).ok());
  Journal(folder).started(5'000'000'000);
  CHECK(client::has_ended_unseen(info_of(folder)));
  CHECK(client::delete_at(info_of(folder)) == 6);
  run.found_ended_ns = 1'000'000'000'000;
  REQUIRE(folder.write_run(run).ok());
  CHECK_FALSE(client::has_ended_unseen(info_of(folder)));
  CHECK(client::delete_at(info_of(folder)) == 1001);
}

TEST_CASE("vm info: a journal with times of the far future → no overflow, and not kept for ever") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  REQUIRE(folder.write_record(record_of(folder.id())).ok());
  Journal(folder).started(INT64_MAX);
  CHECK(info_of(folder).last_use_ns < INT64_MAX);
  CHECK(client::delete_at(info_of(folder)) > 0);
}

TEST_CASE("vm folder: removed while somebody else has it open → no lock, no record, and a new one is not touched") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  const auto other = VmFolder::open(home.path(), folder.id());
  REQUIRE(other.ok());
  REQUIRE(remove(folder));
  CHECK(other->try_lock().error().code == PYRO_ERROR_NOT_FOUND);
  CHECK_FALSE(other->is_current());
  const VmFolder second = make_folder(home);
  REQUIRE(second.write_record(record_of(second.id())).ok());
  CHECK(remove(*other));
  CHECK(second.record().ok());
}

TEST_CASE("vm info: a journal that is damaged, or none → the VM is there all the same") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  REQUIRE(folder.write_record(record_of(folder.id())).ok());
  std::ofstream(home.path() + "/vms/abcdefgh2345/commands") << "no journal at all, and longer than a header";
  CHECK(info_of(folder).state == PYRO_VM_CREATED);
  // Created at second 1, kept for a second.
  CHECK(client::delete_at(info_of(folder)) == 2);
}

TEST_CASE("journal summary: longer than any window, with a start far back → start, end and last number are found") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  REQUIRE(folder.write_record(record_of(folder.id())).ok());
  Journal journal(folder);
  journal.started(1);
  journal.ended(PYRO_OK, "the first time");
  journal.started(2);
  for (std::uint64_t number = 1; number <= 2000; ++number) {
    journal.command(number, 700);
  }
  auto summary = info_of(folder).journal;
  CHECK(summary.last_number == 2000);
  REQUIRE(summary.started.has_value());
  CHECK(summary.started->time_ns == 2);
  CHECK_FALSE(summary.ended.has_value());
  journal.ended(PYRO_OK, "the second time");
  for (std::uint64_t number = 2001; number <= 2600; ++number) {
    journal.command(number, 700);  // no supervisor writes so; a reader must not mind
  }
  summary = info_of(folder).journal;
  CHECK(summary.last_number == 2600);
  REQUIRE(summary.ended.has_value());
  CHECK(summary.ended->reason == "the second time");
}

TEST_CASE("journal file: read while it grows → each frame once, also one that is written in two parts") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  Journal journal(folder);
  journal.command(1);
  auto file = folder.open_file(state::kVmCommandsFile, O_RDWR | O_APPEND);
  auto reader = client::JournalFile::open(*folder.open_file(state::kVmCommandsFile, O_RDONLY)->duplicate());
  REQUIRE(reader.ok());
  std::vector<std::uint64_t> numbers;
  const auto read = [&] {
    REQUIRE(reader
                ->read([&](const state::JournalReader::Frame& frame) {
                  numbers.push_back(state::CommandStarted::decode(frame.payload)->number);
                  return true;
                })
                .ok());
  };
  read();
  read();
  CHECK(numbers == std::vector<std::uint64_t>{1});
  state::CommandStarted record;
  record.number = 2;
  const base::Bytes frame = state::journal_frame(Journal::kTag, JournalRecordType::command_started, record.encode());
  REQUIRE(::write(file->get(), frame.data(), 20) == 20);
  read();
  CHECK(numbers == std::vector<std::uint64_t>{1});
  REQUIRE(::write(file->get(), frame.data() + 20, frame.size() - 20) == static_cast<ssize_t>(frame.size() - 20));
  journal.command(3);
  read();
  CHECK(numbers == std::vector<std::uint64_t>{1, 2, 3});
}

TEST_CASE("journal file: read in shares up to a size → each frame before it once, whatever is in between") {
  const fixture::TempDir home;
  const VmFolder folder = make_folder(home);
  Journal journal(folder);
  journal.command(1);
  auto file = folder.open_file(state::kVmCommandsFile, O_RDWR | O_APPEND);
  REQUIRE(file.ok());
  // No frame, then a hole, then no frame.
  constexpr off_t kHoleEnd = 64 << 20;
  const base::Bytes noise(3 << 20, std::byte{7});
  REQUIRE(base::write_all(file->get(), noise, "the journal").ok());
  REQUIRE(::ftruncate(file->get(), kHoleEnd) == 0);
  REQUIRE(base::write_all(file->get(), noise, "the journal").ok());
  journal.command(2);
  auto reader = client::JournalFile::open(*folder.open_file(state::kVmCommandsFile, O_RDONLY)->duplicate());
  REQUIRE(reader.ok());
  const std::uint64_t end = *reader->size();
  journal.command(3);
  std::vector<std::uint64_t> numbers;
  int shares = 0;
  for (bool all = false; !all; ++shares) {
    REQUIRE(shares < 100);
    const auto read = reader->read_share(end, 1 << 20, [&](const state::JournalReader::Frame& frame) {
      numbers.push_back(state::CommandStarted::decode(frame.payload)->number);
      return true;
    });
    REQUIRE(read.ok());
    all = *read;
  }
  CHECK(numbers == std::vector<std::uint64_t>{1, 2});
  CHECK(shares >= 6);
  CHECK(shares < 12);
}
