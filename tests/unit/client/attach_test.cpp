// Attaching to a command, and listing logs, through the C ABI, with a journal and a supervisor that the tests play.
#include "base/io.hpp"
#include "client/vm_folder.hpp"
#include "fixture.hpp"
#include "journal_writer.hpp"
#include "state/journal.hpp"
#include "wire/attach_messages.hpp"
#include "wire/messages.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace pyro;
using state::JournalRecordType;
using wire::Channel;
using wire::FrameType;

namespace {

constexpr std::uint64_t kNumber = 7;
constexpr std::size_t kPieceBytes = 32 * 1024;

/// A task with one command, and an operation that attaches to it.
class Task {
 public:
  Task() {
    fixture::fs::create_directory(world_.home);
    ::chmod(world_.home.c_str(), 0700);
    auto made = client::VmFolder::create(world_.home, "abcdefgh2345");
    REQUIRE(made.ok());
    folder_.emplace(std::move(*made));
    state::VmRecord record;
    record.id = folder_->id();
    record.environment = "debian:12";
    record.mem_mib = 256;
    record.disk_mib = 64;
    REQUIRE(folder_->write_record(record).ok());
    commands.emplace(*folder_, state::kVmCommandsFile);
    output.emplace(*folder_, state::kVmOutputFile);
    session_.emplace(world_);
  }

  void begin_command(std::uint64_t number = kNumber) {
    state::CommandStarted record;
    record.number = number;
    record.argv = {"true"};
    commands->add(JournalRecordType::command_started, record);
  }
  void end_command(std::uint64_t number = kNumber) {
    state::CommandEnded record;
    record.number = number;
    record.exit_code = 3;
    commands->add(JournalRecordType::command_ended, record);
  }
  void print(const std::string& text, std::uint64_t number = kNumber) {
    state::CommandOutput record;
    record.number = number;
    record.offset = number == kNumber ? printed_ : 0;
    const auto bytes = base::as_bytes(text);
    record.data.assign(bytes.begin(), bytes.end());
    output->add(JournalRecordType::output, record);
    printed_ += number == kNumber ? text.size() : 0;
  }

  void attach(std::uint64_t tail_bytes = UINT64_MAX, bool takes_input = false) {
    pyro_attach_options options = PYRO_ATTACH_OPTIONS_INIT;
    options.task_id = folder_->id().c_str();
    options.command_number = kNumber;
    options.tail_bytes = tail_bytes;
    options.stdin_mode = takes_input ? PYRO_STDIN_STREAM : 0;
    REQUIRE(pyro_task_attach_start(session_->context, &options, &session_->op, nullptr) == PYRO_OK);
  }
  void read_logs(pyro_logs_mode mode, std::uint64_t number = 0) {
    pyro_logs_options options = PYRO_LOGS_OPTIONS_INIT;
    options.task_id = folder_->id().c_str();
    options.mode = mode;
    options.command_number = number;
    options.output_limit_bytes = kPieceBytes;
    REQUIRE(pyro_task_logs_start(session_->context, &options, &session_->op, nullptr) == PYRO_OK);
  }
  /// To a command that runs: up to `started`.
  void join(bool takes_input = false) {
    auto lock = folder_->try_lock();
    REQUIRE(lock.ok());
    REQUIRE(*lock);
    lock_ = std::move(**lock);
    auto listener = folder_->listen();
    REQUIRE(listener.ok());
    REQUIRE(base::set_nonblocking(listener->get()).ok());
    attach(UINT64_MAX, takes_input);
    pyro_event event = PYRO_EVENT_INIT;
    base::Fd peer;
    while (!peer.valid()) {
      REQUIRE(pyro_op_next(op(), 1, &event, nullptr) == PYRO_AGAIN);
      peer = base::Fd(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    }
    supervisor = std::move(peer);
    say(wire::message_frame(FrameType::hello, 0, wire::Hello{}));
    say(wire::message_frame(FrameType::joined, 1, wire::Joined{true, true}));
    REQUIRE(pyro_op_next(op(), 10'000, &event, nullptr) == PYRO_OK);
    CHECK(event.kind == PYRO_EVENT_STARTED);
  }
  void say(const base::Bytes& frame) const {
    REQUIRE(::send(supervisor.get(), frame.data(), frame.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(frame.size()));
  }

  /// Takes what there is. True: it goes on.
  bool take() {
    pyro_event event = PYRO_EVENT_INIT;
    pyro_status status = PYRO_OK;
    while ((status = pyro_op_next(op(), 0, &event, nullptr)) == PYRO_OK) {
      if (event.kind == PYRO_EVENT_STDOUT) {
        out.append(static_cast<const char*>(event.data), event.size);
      } else if (event.kind == PYRO_EVENT_EXIT) {
        exit_code = event.result->exit_code;
      } else if (event.kind == PYRO_EVENT_DONE) {
        for (std::size_t i = 0; i < event.commands->count; ++i) {
          out.append(event.commands->items[i]->stdout_data, event.commands->items[i]->stdout_size);
        }
      } else if (event.kind == PYRO_EVENT_ERROR) {
        error = pyro_error_code(event.error);
        message = pyro_error_message(event.error);
      }
      event = PYRO_EVENT_INIT;
    }
    return status == PYRO_AGAIN;
  }
  /// How often it came back in between, to its end.
  int take_all() {
    int times = 0;
    for (; take(); ++times) {
      REQUIRE(times < 10'000);
    }
    return times;
  }
  [[nodiscard]] pyro_op* op() const { return session_->op; }

  std::optional<fixture::JournalWriter> commands;
  std::optional<fixture::JournalWriter> output;
  base::Fd supervisor;
  std::string out;
  int exit_code = -1;
  pyro_status error = PYRO_OK;
  std::string message;

 private:
  fixture::World world_;
  std::optional<client::VmFolder> folder_;
  client::FileLock lock_;
  std::uint64_t printed_ = 0;
  std::optional<fixture::Session> session_;
};

}  // namespace

TEST_CASE("attach: a long journal → read in shares, and told as it is") {
  Task task;
  SUBCASE("of many commands") {
    for (std::uint64_t number = 100; number < 400; ++number) {
      state::CommandStarted record;
      record.number = number;
      record.argv = {std::string(state::kMaxRecordedArgumentBytes, 'x')};
      task.commands->add(JournalRecordType::command_started, record);
    }
  }
  SUBCASE("with much that is no record") {
    task.commands->write(base::Bytes(5 << 20, std::byte{1}));
  }
  SUBCASE("of others' output") {
    for (int i = 0; i < 160; ++i) {
      task.print(std::string(kPieceBytes, 'x'), 1);
    }
  }
  task.begin_command();
  task.print("hello");
  task.end_command();
  task.attach();
  CHECK(task.take_all() >= 3);
  CHECK(task.out == "hello");
  CHECK(task.exit_code == 3);
}

TEST_CASE("logs: a long journal → read in shares, and the last of what was printed") {
  Task task;
  task.begin_command();
  for (int i = 0; i < 160; ++i) {
    task.print(std::string(kPieceBytes, 'x'));
  }
  task.print("end");
  task.end_command();
  task.read_logs(PYRO_LOGS_LIST);
  CHECK(task.take_all() >= 3);
  CHECK(task.out == std::string(kPieceBytes - 3, 'x') + "end");
}

TEST_CASE("logs: a long journal with little that is wanted → read in shares, too") {
  for (const pyro_logs_mode mode : {PYRO_LOGS_FOLLOW, PYRO_LOGS_STREAM}) {
    for (const bool has_others : {true, false}) {
      CAPTURE(mode);
      CAPTURE(has_others);
      Task task;
      for (int i = 0; i < 160 && has_others; ++i) {
        task.print(std::string(kPieceBytes, 'x'), 1);
      }
      if (!has_others) {
        task.output->write(base::Bytes(5 << 20, std::byte{1}));
      }
      task.begin_command();
      task.print("hello");
      task.end_command();
      task.read_logs(mode, kNumber);
      CHECK(task.take_all() >= 3);
      CHECK(task.out == "hello");
      CHECK(task.error == PYRO_OK);
    }
  }
}

TEST_CASE("attach: a tail → the last so many bytes of this command, whatever is in between") {
  Task task;
  task.begin_command();
  std::string all;
  std::uint64_t tail_bytes = 1000;
  SUBCASE("of much") {
    tail_bytes = 1000;
  }
  SUBCASE("that is most of it") {
    tail_bytes = 2 << 20;
  }
  SUBCASE("that is more than there is") {
    tail_bytes = 1 << 30;
  }
  SUBCASE("that is all") {
    tail_bytes = UINT64_MAX;
  }
  for (int i = 0; i < 100; ++i) {
    task.print(std::string(kPieceBytes, 'x'), 1);
    const std::string piece = std::string(kPieceBytes - 100, static_cast<char>('a' + i % 26));
    task.print(piece);
    all += piece;
  }
  task.end_command();
  task.attach(tail_bytes);
  task.take_all();
  CHECK(task.out == all.substr(all.size() - std::min<std::uint64_t>(all.size(), tail_bytes)));
  CHECK(task.exit_code == 3);
}

TEST_CASE("attach: a supervisor that cannot be believed, or goes → OUTCOME_UNKNOWN, unless the journal has the end") {
  Task task;
  task.begin_command();
  task.print("hello");
  task.join();
  bool ended = false;
  SUBCASE("nonsense") {
    task.say(base::Bytes(64, std::byte{0xff}));
  }
  SUBCASE("a frame for somebody else") {
    task.say(wire::message_frame(FrameType::ready, 0, wire::Ready{}));
  }
  SUBCASE("too much credit") {
    task.say(wire::credit_frame(1, Channel::in, 1));
  }
  SUBCASE("news that nobody asked for") {
    const auto news = wire::message_frame(FrameType::printed, 1, wire::Printed{1});
    task.say(news);
    task.say(news);
  }
  SUBCASE("it goes") {
    task.supervisor.reset();
  }
  SUBCASE("it goes, and the command has ended") {
    task.end_command();
    task.supervisor.reset();
    ended = true;
  }
  task.take_all();
  CHECK(task.out == "hello");
  CHECK(task.error == (ended ? PYRO_OK : PYRO_ERROR_OUTCOME_UNKNOWN));
  CHECK(task.exit_code == (ended ? 3 : -1));
}

TEST_CASE("attach: a supervisor that grants and takes nothing in → an end, not all of the caller's input in memory") {
  Task task;
  task.begin_command();
  task.join(true);
  const std::string input(wire::kWindowBytes, 'x');
  std::size_t taken = 0;
  while (task.take()) {
    REQUIRE(taken < (64 << 20));
    std::size_t now = 0;
    if (pyro_op_write_stdin(task.op(), input.data(), input.size(), &now, nullptr) == PYRO_OK && now > 0) {
      taken += now;
      task.say(wire::credit_frame(1, Channel::in, static_cast<std::uint32_t>(now)));
    }
  }
  CHECK(task.error == PYRO_ERROR_OUTCOME_UNKNOWN);
  CHECK(task.message.find("take in") != std::string::npos);
}

TEST_CASE("attach: a supervisor that goes on writing output behind the command's exit → the end comes all the same") {
  Task task;
  task.begin_command();
  for (int i = 0; i < 32; ++i) {
    task.print(std::string(kPieceBytes, 'a'));
  }
  task.join();
  wire::Exit exit;
  exit.exit_code = 4;
  task.say(wire::message_frame(FrameType::exit, 1, exit));
  int times = 0;
  pyro_event event = PYRO_EVENT_INIT;
  while (pyro_op_next(task.op(), 10'000, &event, nullptr) == PYRO_OK && event.kind == PYRO_EVENT_STDOUT) {
    task.print(std::string(kPieceBytes, 'b'));
    REQUIRE(++times < 1000);
    event = PYRO_EVENT_INIT;
  }
  CHECK(event.kind == PYRO_EVENT_EXIT);
  CHECK(times >= 32);
}

TEST_CASE("attach: a supervisor that is silent, or says nothing without end → timeouts hold, and it can be cancelled") {
  Task task;
  task.begin_command();
  task.join();
  SUBCASE("silent") {}
  SUBCASE("it babbles") {
    const auto nothing = wire::message_frame(FrameType::log, 0, wire::Log{PYRO_LOG_DEBUG, "nothing"});
    base::Bytes much;
    while (much.size() < 128 * 1024) {
      much.insert(much.end(), nothing.begin(), nothing.end());
    }
    task.say(much);
  }
  pyro_event event = PYRO_EVENT_INIT;
  CHECK(pyro_op_next(task.op(), 20, &event, nullptr) == PYRO_AGAIN);
  CHECK(pyro_op_cancel(task.op(), nullptr) == PYRO_OK);
  CHECK_FALSE(task.take());
  CHECK(task.error == PYRO_ERROR_CANCELLED);
}
