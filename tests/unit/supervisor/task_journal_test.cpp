#include "supervisor/task_journal.hpp"

#include "journal_files.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace pyro;
using state::JournalRecordType;
using supervisor::TaskJournal;

namespace {

wire::Exec exec_of(std::vector<std::string> argv) {
  wire::Exec exec;
  exec.argv = std::move(argv);
  exec.env = {"KEY=value"};
  exec.cwd = "/workspace";
  exec.user = "root";
  return exec;
}

// The two files of a task, which outlive the journals that are opened on them.
struct Files {
  base::Fd commands = make_file("commands");
  base::Fd output = make_file("output");

  [[nodiscard]] TaskJournal open(state::OutputRetention::Limits limits = {}) const {
    auto journal = TaskJournal::open(again(commands), again(output), limits);
    REQUIRE(journal.ok());
    return std::move(*journal);
  }
};

}  // namespace

TEST_CASE("task journal: a command runs → its start, its output in order and its end are in the files") {
  const Files files;
  TaskJournal journal = files.open();
  REQUIRE(journal.machine_started("vm1", PYRO_ENGINE_KVM).ok());
  const auto number = journal.command_started(exec_of({"sh", "-c", "x"}));
  REQUIRE(number.ok());
  CHECK(*number == 1);
  journal.command_output(1, wire::Channel::out, base::as_bytes("one"));
  journal.command_output(1, wire::Channel::err, base::as_bytes("err"));
  journal.command_output(1, wire::Channel::out, base::as_bytes("two"));
  wire::Exit exit;
  exit.exit_code = 3;
  journal.command_ended(1, exit);
  REQUIRE(journal.machine_ended(PYRO_OK, "stopped").ok());

  const auto starts = records<state::CommandStarted>(files.commands, JournalRecordType::command_started);
  REQUIRE(starts.size() == 1);
  CHECK(starts[0].argv == std::vector<std::string>{"sh", "-c", "x"});
  CHECK(starts[0].env_names == std::vector<std::string>{"KEY"});
  const auto output = records<state::CommandOutput>(files.output, JournalRecordType::output);
  REQUIRE(output.size() == 3);
  CHECK(base::as_text(output[1].data) == "err");
  CHECK(output[1].channel == 2);
  CHECK(output[1].offset == 0);
  CHECK(output[2].offset == 3);
  const auto ends = records<state::CommandEnded>(files.commands, JournalRecordType::command_ended);
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].exit_code == 3);
  CHECK(ends[0].stdout_total_bytes == 6);
  CHECK(ends[0].stderr_total_bytes == 3);
  CHECK(records<state::MachineEnded>(files.commands, JournalRecordType::machine_ended).at(0).reason == "stopped");
}

TEST_CASE("task journal: opened again → numbers go on, nothing is lost") {
  const Files files;
  SUBCASE("after few commands") {
    TaskJournal journal = files.open();
    for (std::uint64_t i = 1; i <= 3; ++i) {
      CHECK(*journal.command_started(exec_of({"true"})) == i);
    }
  }
  SUBCASE("after a megabyte of other records") {
    TaskJournal journal = files.open();
    for (int i = 0; i < 3; ++i) {
      REQUIRE(journal.command_started(exec_of({"true"})).ok());
    }
    const std::string reason(60'000, 'r');
    for (int i = 0; i < 40; ++i) {
      REQUIRE(journal.machine_ended(PYRO_ERROR_INTERNAL, reason).ok());
    }
  }
  SUBCASE("after a frame that was cut off") {
    {
      TaskJournal journal = files.open();
      for (int i = 0; i < 3; ++i) {
        REQUIRE(journal.command_started(exec_of({"true"})).ok());
      }
      REQUIRE(journal.machine_ended(PYRO_OK, std::string(100, 'r')).ok());
    }
    REQUIRE(::ftruncate(files.commands.get(), ::lseek(files.commands.get(), 0, SEEK_END) - 77) == 0);
  }
  TaskJournal journal = files.open();
  CHECK(*journal.command_started(exec_of({"again"})) == 4);
  CHECK(records<state::CommandStarted>(files.commands, JournalRecordType::command_started).size() == 4);
}

TEST_CASE("task journal: a first writer that was killed while making the file → begun anew; another's file → refused") {
  const Files files;
  REQUIRE(::ftruncate(files.commands.get(), 17) == 0);
  CHECK(*files.open().command_started(exec_of({"true"})) == 1);
  const Files foreign;
  const base::Bytes text(100, std::byte{'x'});
  REQUIRE(::write(foreign.output.get(), text.data(), text.size()) == 100);
  CHECK(TaskJournal::open(again(foreign.commands), again(foreign.output)).error().code == PYRO_ERROR_INVALID);
  CHECK(content(foreign.output) == text);
}

TEST_CASE("task journal: endless output → the file's room stays bounded, the newest is there") {
  const Files files;
  constexpr std::uint64_t share = 1 << 20;
  TaskJournal journal = files.open({share, 2 * share, 4096});
  REQUIRE(journal.command_started(exec_of({"yes"})).ok());
  const base::Bytes block(30'000, std::byte{'y'});
  for (int i = 0; i < 500; ++i) {
    journal.command_output(1, wire::Channel::out, block);
  }
  struct stat info {};
  REQUIRE(::fstat(files.output.get(), &info) == 0);
  CHECK(static_cast<std::uint64_t>(info.st_blocks) * 512 < 2 * share);
  CHECK(static_cast<std::uint64_t>(info.st_size) > 10 * share);
  const auto left = records<state::CommandOutput>(files.output, JournalRecordType::output);
  REQUIRE_FALSE(left.empty());
  CHECK(left.front().offset > 0);
  CHECK(left.back().offset == 499 * block.size());
  // What is left counts for whoever goes on.
  TaskJournal next = files.open({share, share, 4096});
  REQUIRE(next.command_started(exec_of({"yes"})).ok());
  next.command_output(2, wire::Channel::out, block);
  REQUIRE(::fstat(files.output.get(), &info) == 0);
  CHECK(static_cast<std::uint64_t>(info.st_blocks) * 512 < 3 * share / 2);
}

TEST_CASE("task journal: no room → no new command, what runs goes on, and its end is written when there is room") {
  const Files files;
  TaskJournal journal = files.open();
  REQUIRE(journal.command_started(exec_of({"long"})).ok());
  {
    // The frame is cut off in its middle.
    const FileSizeLimit limit(static_cast<rlim_t>(::lseek(files.commands.get(), 0, SEEK_END) + 30));
    journal.command_output(1, wire::Channel::out, base::Bytes(2000, std::byte{'x'}));
    journal.command_ended(1, {});
    CHECK(journal.waiting_ends() == 1);
    CHECK(journal.command_started(exec_of({"next"})).error().code == PYRO_ERROR_LIMIT);
  }
  CHECK(*journal.command_started(exec_of({"next"})) == 2);
  CHECK(journal.waiting_ends() == 0);
  const auto ends = records<state::CommandEnded>(files.commands, JournalRecordType::command_ended);
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].stdout_total_bytes == 2000);
  const auto starts = records<state::CommandStarted>(files.commands, JournalRecordType::command_started);
  CHECK(starts.size() == 2);
}

TEST_CASE("task journal: what belongs to no command that runs → ignored") {
  const Files files;
  TaskJournal journal = files.open();
  journal.command_output(7, wire::Channel::out, base::as_bytes("x"));
  journal.command_ended(7, {});
  CHECK(content(files.output).size() == state::kJournalHeaderBytes);
  CHECK(content(files.commands).size() == state::kJournalHeaderBytes);
}
