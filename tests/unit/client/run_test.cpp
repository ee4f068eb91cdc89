// Runs through the C ABI against a fake supervisor (fakes/pyro_vm.py).
#include "fixture.hpp"

#include "wire/frame.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string_view>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <pyro/pyro.hpp>

namespace {

using fixture::Session;
using fixture::World;

class Command {
 public:
  Command(std::initializer_list<const char*> argv) : argv_(argv) {
    options.environment = "test:1";
    options.argv = argv_.data();
    options.argc = argv_.size();
  }
  pyro_run_options options = PYRO_RUN_OPTIONS_INIT;

  [[nodiscard]] const pyro_run_options* get() const { return &options; }

 private:
  std::vector<const char*> argv_;
};

struct Outcome {
  std::string out;
  std::string err;
  std::vector<std::uint32_t> kinds;
  std::int32_t exit_code = -1;
  pyro_status error = PYRO_OK;
  std::string message;
  std::string console;
};

// Drives an operation as an event loop would: poll, then take what there is.
Outcome drive(pyro_op* op) {
  Outcome outcome;
  while (true) {
    pollfd watched{pyro_op_fd(op), POLLIN, 0};
    REQUIRE(::poll(&watched, 1, 10'000) == 1);
    pyro_event event = PYRO_EVENT_INIT;
    pyro_status status = PYRO_OK;
    while ((status = pyro_op_next(op, 0, &event, nullptr)) == PYRO_OK) {
      outcome.kinds.push_back(event.kind);
      if (event.kind == PYRO_EVENT_STDOUT) {
        outcome.out.append(static_cast<const char*>(event.data), event.size);
      } else if (event.kind == PYRO_EVENT_STDERR) {
        outcome.err.append(static_cast<const char*>(event.data), event.size);
      } else if (event.kind == PYRO_EVENT_EXIT) {
        outcome.exit_code = event.result->exit_code;
        CHECK(event.result->stdout_data == nullptr);
      } else if (event.kind == PYRO_EVENT_ERROR) {
        outcome.error = pyro_error_code(event.error);
        outcome.message = pyro_error_message(event.error);
        outcome.console = pyro_error_console(event.error);
      }
    }
    if (status == PYRO_END) {
      return outcome;
    }
    REQUIRE(status == PYRO_AGAIN);
  }
}

// Takes events until one of `kind`.
void wait_for(pyro_op* op, pyro_event_kind kind, pyro_event& event) {
  do {
    event = PYRO_EVENT_INIT;
    REQUIRE(pyro_op_next(op, 10'000, &event, nullptr) == PYRO_OK);
    REQUIRE(event.kind < PYRO_EVENT_EXIT);
  } while (event.kind != static_cast<std::uint32_t>(kind));
}

TEST_SUITE_BEGIN("client");

TEST_CASE("run: a command that prints → result with both streams, counts, engine and id") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  const Command command{"echo", "hello", "w\xff rld"};
  REQUIRE(pyro_run_in_vm(session.context, &command.options, &session.result, &session.error) == PYRO_OK);
  CHECK(session.result->exit_code == 0);
  CHECK(std::string(session.result->stdout_data, session.result->stdout_size) == "hello w\xff rld");
  CHECK(std::string(session.result->stderr_data) == "to stderr");
  CHECK(session.result->stdout_total_bytes == 12);
  CHECK(session.result->stdout_truncated == 0);
  CHECK(session.result->engine == PYRO_ENGINE_SOFTWARE);
  CHECK(session.result->start_kind == PYRO_START_COLD);
  CHECK(session.result->duration_ms == 7);
  CHECK(std::string_view(session.result->vm_id).size() == 12);
  CHECK(std::string_view(session.result->task_id).empty());
  // Only the scratch image was missing.
  CHECK(world.requests() == "scratch \n");
}

TEST_CASE("run: exit codes and a timeout → results, not errors") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  REQUIRE(pyro_run_in_vm(session.context, Command{"exit", "77"}.get(), &session.result, nullptr) == PYRO_OK);
  CHECK(session.result->exit_code == 77);
  pyro_result_destroy(&session.result);
  REQUIRE(pyro_run_in_vm(session.context, Command{"timeout"}.get(), &session.result, nullptr) == PYRO_OK);
  CHECK(session.result->exit_code == 124);
  CHECK(session.result->timed_out == 1);
}

TEST_CASE("run: a program that does not exist → result 127 and a line on stderr; a missing user → INVALID") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  REQUIRE(pyro_run_in_vm(session.context, Command{"not-found"}.get(), &session.result, nullptr) == PYRO_OK);
  CHECK(session.result->exit_code == 127);
  CHECK(std::string(session.result->stderr_data) == "pyro: no-such-program: not found\n");
  pyro_result_destroy(&session.result);
  CHECK(pyro_run_in_vm(session.context, Command{"bad-user"}.get(), &session.result, &session.error) ==
        PYRO_ERROR_INVALID);
  CHECK(session.message().find("nobody2") != std::string::npos);
  pyro_error_destroy(&session.error);
  CHECK(pyro_run_in_vm(session.context, Command{"no-room"}.get(), &session.result, &session.error) == PYRO_ERROR_LIMIT);
  CHECK(session.message().find("Resource temporarily unavailable") != std::string::npos);
}

TEST_CASE("op: signals before the command has started → as many as a supervisor keeps, then STATE") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  REQUIRE(pyro_run_in_vm_start(session.context, Command{"sleep"}.get(), &session.op, nullptr) == PYRO_OK);
  for (std::size_t i = 0; i < pyro::wire::kMaxEarlySignals; ++i) {
    CHECK(pyro_op_signal(session.op, SIGUSR1, nullptr) == PYRO_OK);
  }
  CHECK(pyro_op_signal(session.op, SIGUSR1, nullptr) == PYRO_ERROR_STATE);
  pyro_event event = PYRO_EVENT_INIT;
  wait_for(session.op, PYRO_EVENT_STARTED, event);
  CHECK(pyro_op_signal(session.op, SIGUSR1, nullptr) == PYRO_OK);
}

TEST_CASE("run: more output than the limit → the first bytes are kept, all are counted") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  Command command{"spam", "3000000"};
  command.options.output_limit_bytes = 1000;
  REQUIRE(pyro_run_in_vm(session.context, &command.options, &session.result, nullptr) == PYRO_OK);
  CHECK(session.result->stdout_size == 1000);
  CHECK(session.result->stdout_total_bytes == 3'000'000);
  CHECK(session.result->stdout_truncated == 1);
  CHECK(session.result->stderr_truncated == 0);
}

TEST_CASE("run: stdin_data larger than the window → comes back whole") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  std::string input(1'000'000, '\0');
  for (std::size_t i = 0; i < input.size(); ++i) {
    input[i] = static_cast<char>(i * 7 + i / 251);
  }
  Command command{"cat"};
  command.options.stdin_data = input.data();
  command.options.stdin_size = input.size();
  command.options.output_limit_bytes = UINT64_MAX;
  REQUIRE(pyro_run_in_vm(session.context, &command.options, &session.result, nullptr) == PYRO_OK);
  CHECK(std::string(session.result->stdout_data, session.result->stdout_size) == input);
}

TEST_CASE("op: driven by poll → progress, started, output, exit, then END for ever") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  REQUIRE(pyro_run_in_vm_start(session.context, Command{"echo", "hi"}.get(), &session.op, nullptr) == PYRO_OK);
  const Outcome outcome = drive(session.op);
  CHECK(outcome.out == "hi");
  CHECK(outcome.err == "to stderr");
  CHECK(outcome.exit_code == 0);
  const std::vector<std::uint32_t> end(outcome.kinds.end() - 4, outcome.kinds.end());
  CHECK(end == std::vector<std::uint32_t>{PYRO_EVENT_STARTED, PYRO_EVENT_STDOUT, PYRO_EVENT_STDERR, PYRO_EVENT_EXIT});
  pyro_event event = PYRO_EVENT_INIT;
  CHECK(pyro_op_next(session.op, -1, &event, nullptr) == PYRO_END);
}

TEST_CASE("op: streamed stdin → taken up to the window at once, all of it in the end; closed twice is STATE") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  Command command{"cat"};
  command.options.stdin_mode = PYRO_STDIN_STREAM;
  REQUIRE(pyro_run_in_vm_start(session.context, &command.options, &session.op, nullptr) == PYRO_OK);
  const std::string input(700'000, 'y');
  std::size_t sent = 0;
  std::size_t accepted = 0;
  REQUIRE(pyro_op_write_stdin(session.op, input.data(), input.size(), &accepted, nullptr) == PYRO_OK);
  CHECK(accepted == pyro::wire::kWindowBytes);
  sent = accepted;
  std::size_t received = 0;
  while (received < input.size()) {
    pyro_event event = PYRO_EVENT_INIT;
    // PYRO_AGAIN: there is room.
    REQUIRE(pyro_op_next(session.op, 10'000, &event, nullptr) <= PYRO_AGAIN);
    REQUIRE(event.kind < PYRO_EVENT_EXIT);
    received += event.kind == PYRO_EVENT_STDOUT ? event.size : 0;
    REQUIRE(pyro_op_write_stdin(session.op, input.data() + sent, input.size() - sent, &accepted, nullptr) == PYRO_OK);
    sent += accepted;
  }
  CHECK(pyro_op_close_stdin(session.op, nullptr) == PYRO_OK);
  CHECK(pyro_op_close_stdin(session.op, nullptr) == PYRO_ERROR_STATE);
  CHECK(drive(session.op).exit_code == 0);
  CHECK(pyro_op_write_stdin(session.op, "x", 1, &accepted, nullptr) == PYRO_ERROR_STATE);
}

TEST_CASE("op: input beyond the window for a command that prints nothing → next() comes back when there is room") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  Command command{"discard"};
  command.options.stdin_mode = PYRO_STDIN_STREAM;
  REQUIRE(pyro_run_in_vm_start(session.context, &command.options, &session.op, nullptr) == PYRO_OK);
  const std::string input(1'000'000, 'y');
  std::size_t sent = 0;
  int waits = 0;
  while (sent < input.size()) {
    std::size_t accepted = 0;
    REQUIRE(pyro_op_write_stdin(session.op, input.data() + sent, input.size() - sent, &accepted, nullptr) == PYRO_OK);
    sent += accepted;
    if (sent < input.size()) {
      // In place of -1, so that a failure ends.
      const auto before = std::chrono::steady_clock::now();
      pyro_event event = PYRO_EVENT_INIT;
      const pyro_status status = pyro_op_next(session.op, 10'000, &event, nullptr);
      REQUIRE((status == PYRO_OK || status == PYRO_AGAIN));
      REQUIRE(std::chrono::steady_clock::now() - before < std::chrono::seconds(9));
      waits += status == PYRO_AGAIN;
    }
  }
  CHECK(waits > 0);
  CHECK(pyro_op_close_stdin(session.op, nullptr) == PYRO_OK);
  CHECK(drive(session.op).exit_code == 0);
}

TEST_CASE("C++: input beyond the window → next() gives nullptr for room, write_all_stdin() sends all of it") {
  World world;
  world.add_environment("test:1");
  pyro::OpenOptions where;
  where.home = world.home;
  where.libexec = world.libexec;
  const pyro::Pyro pyro(where);
  pyro::RunOptions options;
  options.environment = "test:1";
  options.command = std::vector<std::string>{"discard"};
  options.stdin_stream = true;
  const std::string input(1'000'000, 'y');
  {
    pyro::RunOperation operation = pyro.start_run_in_vm(options);
    std::string_view rest = input;
    while (!rest.empty()) {
      rest.remove_prefix(operation.write_stdin(rest));
      if (!rest.empty()) {
        const pyro::Event* event = operation.next();
        REQUIRE((event != nullptr || operation.wants_input()));
      }
    }
    operation.close_stdin();
    CHECK_FALSE(operation.wants_input());
    CHECK(operation.wait().exit_code == 0);
  }
  {
    pyro::RunOperation operation = pyro.start_run_in_vm(options);
    int events = 0;
    CHECK(operation.write_all_stdin(input, [&events](const pyro::Event&) { ++events; }));
    CHECK(events > 0);
    operation.close_stdin();
    CHECK(operation.wait().exit_code == 0);
  }
  {
    // The rest of a short write is given up: the events still come to their end.
    options.command = std::vector<std::string>{"echo", "hi"};
    pyro::RunOperation operation = pyro.start_run_in_vm(options);
    CHECK(operation.write_stdin(input) < input.size());
    CHECK(operation.wait().stdout_data == "hi");
  }
  options.command = std::vector<std::string>{"echo", "hi"};
  pyro::RunOperation operation = pyro.start_run_in_vm(options);
  CHECK_FALSE(operation.write_all_stdin(input));
  CHECK(operation.result().stdout_data == "hi");
}

TEST_CASE("op: signals and terminal sizes given before the start → arrive in order") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  Command command{"control"};
  command.options.pty = 1;
  REQUIRE(pyro_run_in_vm_start(session.context, &command.options, &session.op, nullptr) == PYRO_OK);
  CHECK(pyro_op_resize(session.op, 50, 132, nullptr) == PYRO_OK);
  CHECK(pyro_op_signal(session.op, SIGTERM, nullptr) == PYRO_OK);
  CHECK(pyro_op_signal(session.op, 0, nullptr) == PYRO_ERROR_INVALID);
  CHECK(pyro_op_signal(session.op, 65, nullptr) == PYRO_ERROR_INVALID);
  CHECK(pyro_op_resize(session.op, 0, 1, nullptr) == PYRO_ERROR_INVALID);
  const Outcome outcome = drive(session.op);
  CHECK(outcome.out == "50x132");
  CHECK(outcome.exit_code == 128 + SIGTERM);
  CHECK(pyro_op_signal(session.op, SIGTERM, nullptr) == PYRO_ERROR_STATE);
}

TEST_CASE("op: a lost supervisor → NOT_STARTED before the dispatch, OUTCOME_UNKNOWN after it") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  const auto run = [&](const char* what) {
    pyro_op_destroy(&session.op);
    REQUIRE(pyro_run_in_vm_start(session.context, Command{what}.get(), &session.op, nullptr) == PYRO_OK);
    return drive(session.op);
  };
  Outcome outcome = run("die-before");
  CHECK(outcome.error == PYRO_ERROR_NOT_STARTED);
  CHECK(outcome.message.find("killed by signal 9") != std::string::npos);
  outcome = run("mute");
  CHECK(outcome.error == PYRO_ERROR_NOT_STARTED);
  outcome = run("die-after");
  CHECK(outcome.error == PYRO_ERROR_OUTCOME_UNKNOWN);
  CHECK(outcome.message.find("exited with code 4") != std::string::npos);
  // A forked child of the host may keep the socket from its end of file.
  outcome = run("die-held");
  CHECK(outcome.error == PYRO_ERROR_OUTCOME_UNKNOWN);
  CHECK(outcome.message.find("exited with code 4") != std::string::npos);
  outcome = run("garbage");
  CHECK(outcome.error == PYRO_ERROR_NOT_STARTED);
  outcome = run("overrun");
  CHECK(outcome.error == PYRO_ERROR_OUTCOME_UNKNOWN);
  outcome = run("overgrant");
  CHECK(outcome.error == PYRO_ERROR_OUTCOME_UNKNOWN);
  CHECK(outcome.message.find("granted more input") != std::string::npos);
}

TEST_CASE("op: the guest does not start → BOOT with its console; a foreign supervisor → UNSUPPORTED") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  REQUIRE(pyro_run_in_vm_start(session.context, Command{"boot-failed"}.get(), &session.op, nullptr) == PYRO_OK);
  Outcome outcome = drive(session.op);
  CHECK(outcome.error == PYRO_ERROR_BOOT);
  CHECK(outcome.console == "Kernel panic - not syncing\n");
  pyro_op_destroy(&session.op);
  REQUIRE(pyro_run_in_vm_start(session.context, Command{"foreign"}.get(), &session.op, nullptr) == PYRO_OK);
  outcome = drive(session.op);
  CHECK(outcome.error == PYRO_ERROR_UNSUPPORTED);
  CHECK(outcome.message.find("PYRO_LIBEXEC") != std::string::npos);
}

TEST_CASE("op: cancelled from another thread → last event CANCELLED, and the supervisor is gone") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  REQUIRE(pyro_run_in_vm_start(session.context, Command{"sleep"}.get(), &session.op, nullptr) == PYRO_OK);
  pyro_event event = PYRO_EVENT_INIT;
  wait_for(session.op, PYRO_EVENT_STDOUT, event);
  const pid_t supervisor = std::stoi(std::string(static_cast<const char*>(event.data), event.size));
  std::thread other([op = session.op] { CHECK(pyro_op_cancel(op, nullptr) == PYRO_OK); });
  event = PYRO_EVENT_INIT;
  REQUIRE(pyro_op_next(session.op, 10'000, &event, nullptr) == PYRO_OK);
  other.join();
  CHECK(event.kind == PYRO_EVENT_ERROR);
  CHECK(pyro_error_code(event.error) == PYRO_ERROR_CANCELLED);
  CHECK(pyro_op_next(session.op, 0, &event, nullptr) == PYRO_END);
  pyro_op_destroy(&session.op);
  CHECK(::kill(supervisor, 0) == -1);
  CHECK(errno == ESRCH);
}

TEST_CASE("op: destroyed while the command runs → the supervisor is gone and reaped") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  REQUIRE(pyro_run_in_vm_start(session.context, Command{"sleep"}.get(), &session.op, nullptr) == PYRO_OK);
  pyro_event event = PYRO_EVENT_INIT;
  wait_for(session.op, PYRO_EVENT_STDOUT, event);
  const pid_t supervisor = std::stoi(std::string(static_cast<const char*>(event.data), event.size));
  // A context may be closed before its operations.
  pyro_close(&session.context);
  pyro_op_destroy(&session.op);
  CHECK(session.op == nullptr);
  CHECK(::kill(supervisor, 0) == -1);
}

TEST_CASE("op: a helper that lingers after its answer → nobody waits for it while the command runs") {
  World world;
  world.add_environment("test:1");
  fixture::write_file(world.home + "/linger", "");
  Session session(world);
  REQUIRE(pyro_run_in_vm_start(session.context, Command{"sleep"}.get(), &session.op, nullptr) == PYRO_OK);
  pyro_event event = PYRO_EVENT_INIT;
  wait_for(session.op, PYRO_EVENT_STARTED, event);
  const pid_t helper = std::stoi(fixture::read_file(world.home + "/scratch-pid"));
  CHECK(::kill(helper, 0) == 0);
  fixture::fs::remove(world.home + "/linger");
  // Reaped as it ends, not only with the operation.
  for (int i = 0; i < 100 && ::kill(helper, 0) == 0; ++i) {
    event = PYRO_EVENT_INIT;
    REQUIRE(pyro_op_next(session.op, 100, &event, nullptr) < PYRO_ERROR_INVALID);
  }
  CHECK(::kill(helper, 0) == -1);
}

TEST_CASE("op: a reader who does not read → the supervisor waits with one window under way") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  REQUIRE(pyro_run_in_vm_start(session.context, Command{"spam", "2000000"}.get(), &session.op, nullptr) == PYRO_OK);
  pyro_event event = PYRO_EVENT_INIT;
  wait_for(session.op, PYRO_EVENT_STARTED, event);
  const Outcome outcome = drive(session.op);
  CHECK(outcome.out.size() == 2'000'000);
}

TEST_CASE("spawn: the supervisor sees → its descriptors in order, and nothing of the host") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  Command command{"self"};
  const char* const env[] = {"A=1", "B=x=y"};
  command.options.env = env;
  command.options.env_count = 2;
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  const int stray = ::dup(0);  // not CLOEXEC
  REQUIRE(pyro_run_in_vm(session.context, &command.options, &session.result, nullptr) == PYRO_OK);
  ::close(stray);
  ::pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  const std::string seen = session.result->stdout_data;
  CAPTURE(seen);
  CHECK(seen.find("\"argv\": []") != std::string::npos);
  CHECK(seen.find("\"cwd\": \"/\"") != std::string::npos);
  CHECK(seen.find("\"session_leader\": true") != std::string::npos);
  CHECK(seen.find("\"blocked\": \"0000000000000000\"") != std::string::npos);
  CHECK(seen.find("HOME") == std::string::npos);
  CHECK(seen.find("\"env\": [\"A=1\", \"B=x=y\"]") != std::string::npos);
  // Its own three, and the ten passed.
  CHECK(seen.find("\"open\": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]") != std::string::npos);
  std::size_t at = 0;
  for (const char* file : {"pidfd", "/blobs/aaaa", "/blobs/bbbb", "/pyro-agent", "/blobs/cccc", "/scratch/ext4-v1-2048",
                           "(deleted)", "qemu-system-x86_64", "/home/slots", "/dev/null"}) {
    CAPTURE(file);
    at = seen.find(file, at);
    REQUIRE(at != std::string::npos);
  }
}

TEST_CASE("fork: a child with the parent's handles → FORKED, can open its own, and destroys without harm") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  Command command{"cat"};
  command.options.stdin_mode = PYRO_STDIN_STREAM;
  REQUIRE(pyro_run_in_vm_start(session.context, &command.options, &session.op, nullptr) == PYRO_OK);
  pyro_event event = PYRO_EVENT_INIT;
  wait_for(session.op, PYRO_EVENT_STARTED, event);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int wrong = 0;
    wrong += pyro_op_fd(session.op) != -1;
    wrong += pyro_op_next(session.op, 0, &event, nullptr) != PYRO_ERROR_FORKED;
    wrong += pyro_op_cancel(session.op, nullptr) != PYRO_ERROR_FORKED;
    wrong += pyro_run_in_vm(session.context, &command.options, &session.result, nullptr) != PYRO_ERROR_FORKED;
    pyro_op_destroy(&session.op);
    pyro_close(&session.context);
    Session own(world);
    wrong += pyro_run_in_vm(own.context, Command{"exit", "5"}.get(), &own.result, nullptr) != PYRO_OK;
    wrong += own.result == nullptr || own.result->exit_code != 5;
    ::_exit(wrong);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  std::size_t accepted = 0;
  REQUIRE(pyro_op_write_stdin(session.op, "alive", 5, &accepted, nullptr) == PYRO_OK);
  REQUIRE(pyro_op_close_stdin(session.op, nullptr) == PYRO_OK);
  const Outcome outcome = drive(session.op);
  CHECK(outcome.out == "alive");
  CHECK(outcome.exit_code == 0);
}

TEST_CASE("fork: a child that keeps every descriptor → destroying in the parent still ends the VM") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  REQUIRE(pyro_run_in_vm_start(session.context, Command{"sleep"}.get(), &session.op, nullptr) == PYRO_OK);
  pyro_event event = PYRO_EVENT_INIT;
  wait_for(session.op, PYRO_EVENT_STDOUT, event);
  const pid_t supervisor = std::stoi(std::string(static_cast<const char*>(event.data), event.size));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const auto before = std::chrono::steady_clock::now();
  pyro_op_destroy(&session.op);
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(1));
  CHECK(::kill(supervisor, 0) == -1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("host: ignores SIGCHLD → runs and ends as ever") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  REQUIRE(pyro_run_in_vm(session.context, Command{"exit", "3"}.get(), &session.result, nullptr) == PYRO_OK);
  std::signal(SIGCHLD, before);
  CHECK(session.result->exit_code == 3);
}

TEST_CASE("host: eight threads with one context → eight results") {
  World world;
  world.add_environment("test:1");
  Session session(world);
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      pyro_result* result = nullptr;
      if (pyro_run_in_vm(session.context, Command{"exit", "9"}.get(), &result, nullptr) == PYRO_OK) {
        good += result->exit_code == 9;
      }
      pyro_result_destroy(&result);
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK(good == 8);
}

TEST_SUITE_END();

}  // namespace
