// Options: defaults, ranges, and structs of other versions.
#include "fixture.hpp"

#include "client/run_request.hpp"
#include "wire/frame.hpp"
#include "wire/messages.hpp"

#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

namespace {

using fixture::Session;
using fixture::World;
using pyro::client::make_run_request;

pyro_run_options valid_options() {
  pyro_run_options options = PYRO_RUN_OPTIONS_INIT;
  options.environment = "debian:12";
  options.command = "true";
  return options;
}

pyro_status status_of(const pyro_run_options& options) {
  const auto request = make_run_request(options, "");
  return request.ok() ? PYRO_OK : request.error().code;
}

std::string message_of(const pyro_run_options& options) {
  const auto request = make_run_request(options, "");
  return request.ok() ? std::string() : request.error().message;
}

TEST_SUITE_BEGIN("client");

TEST_CASE("run options: nothing set but the required → the defaults of the contract") {
  const auto request = make_run_request(valid_options(), "");
  REQUIRE(request.ok());
  CHECK(request->command.exec.argv == std::vector<std::string>{"/bin/sh", "-c", "true"});
  CHECK(request->command.exec.cwd == "/workspace");
  CHECK(request->command.exec.user == "root");
  CHECK(request->command.exec.timeout_ms == 30'000);
  CHECK(request->vm.boot_timeout_ms == 60'000);
  CHECK(request->vm.max_lifetime_ms == 0);
  CHECK(request->vm.vcpu_count == 1);
  CHECK(request->vm.mem_mib == 1024);
  CHECK(request->vm.disk_mib == 2048);
  CHECK(request->command.output_limit_bytes == 1024 * 1024);
  CHECK(request->vm.engine == PYRO_ENGINE_AUTO);
}

TEST_CASE("run options: limits out of range → INVALID, and the message says the range") {
  auto options = valid_options();
  SUBCASE("vcpu_count") {
    options.vcpu_count = 17;
    CHECK(message_of(options) == "vcpu_count is 17: 1 to 16 are possible");
  }
  SUBCASE("mem_mib") {
    options.mem_mib = 127;
    CHECK(message_of(options) == "mem_mib is 127: 128 to 65536 are possible");
  }
  SUBCASE("disk_mib") {
    options.disk_mib = 63;
    CHECK(message_of(options).find("64 to 1048576") != std::string::npos);
  }
  SUBCASE("timeout_seconds") {
    options.timeout_seconds = -2;
    CHECK(message_of(options).find("0.001 to 31536000") != std::string::npos);
  }
  SUBCASE("timeout_seconds is no number") {
    options.timeout_seconds = std::numeric_limits<double>::quiet_NaN();
  }
  SUBCASE("boot_timeout_seconds") {
    options.boot_timeout_seconds = 86'401;
    CHECK(message_of(options).find("0.001 to 86400") != std::string::npos);
  }
  SUBCASE("boot_timeout_seconds cannot be none") {
    options.boot_timeout_seconds = PYRO_NO_TIMEOUT;
  }
  SUBCASE("pty_rows") {
    options.pty_rows = 65536;
  }
  SUBCASE("engine") {
    options.engine = 3;
  }
  SUBCASE("pty") {
    options.pty = 2;
  }
  SUBCASE("stdin_mode") {
    options.stdin_mode = 2;
  }
  CHECK(status_of(options) == PYRO_ERROR_INVALID);
}

TEST_CASE("run options: fractions and no timeout → milliseconds, rounded up, and none") {
  auto options = valid_options();
  options.timeout_seconds = 0.0015;
  CHECK(make_run_request(options, "")->command.exec.timeout_ms == 2);
  options.timeout_seconds = PYRO_NO_TIMEOUT;
  CHECK(make_run_request(options, "")->command.exec.timeout_ms == 0);
}

TEST_CASE("run options: commands that make no sense → INVALID") {
  auto options = valid_options();
  const char* const argv[] = {"a", nullptr};
  SUBCASE("both") {
    options.argv = argv;
    options.argc = 1;
  }
  SUBCASE("neither") {
    options.command = nullptr;
  }
  SUBCASE("empty argv") {
    options.command = nullptr;
    options.argv = argv;
  }
  SUBCASE("a NULL in argv") {
    options.command = nullptr;
    options.argv = argv;
    options.argc = 2;
  }
  SUBCASE("no environment") {
    options.environment = nullptr;
  }
  SUBCASE("an environment that could be a path") {
    options.environment = "../etc";
  }
  SUBCASE("a relative directory") {
    options.cwd = "work";
  }
  SUBCASE("an empty user") {
    options.user = "";
  }
  SUBCASE("a variable without =") {
    static const char* const variables[] = {"HOME"};
    options.env = variables;
    options.env_count = 1;
  }
  SUBCASE("a variable without a name") {
    static const char* const variables[] = {"=x"};
    options.env = variables;
    options.env_count = 1;
  }
  SUBCASE("input for a stream") {
    options.stdin_mode = PYRO_STDIN_STREAM;
    options.stdin_data = "x";
    options.stdin_size = 1;
  }
  SUBCASE("input of a size at NULL") {
    options.stdin_size = 1;
  }
  CHECK(status_of(options) == PYRO_ERROR_INVALID);
}

TEST_CASE("run options: arguments that fill the limit → accepted; one byte more → LIMIT; network → UNSUPPORTED") {
  auto options = valid_options();
  // "/bin/sh" and "-c" count, too, and 4 bytes for each length.
  std::string command(pyro::wire::kMaxArgumentBytes - 9 - 5 * 4, 'x');
  options.command = command.c_str();
  CHECK(status_of(options) == PYRO_OK);
  command += "x";
  options.command = command.c_str();
  CHECK(status_of(options) == PYRO_ERROR_LIMIT);
  options = valid_options();
  std::vector<const char*> argv(300'000, "a");
  options.command = nullptr;
  options.argv = argv.data();
  options.argc = argv.size();
  CHECK(status_of(options) == PYRO_ERROR_LIMIT);
  options = valid_options();
  options.network = 1;
  CHECK(status_of(options) == PYRO_ERROR_UNSUPPORTED);
}

TEST_CASE("run options: the longest command that is accepted → its frame passes the parser whole") {
  auto options = valid_options();
  std::string command(pyro::wire::kMaxArgumentBytes, 'x');
  do {
    command.pop_back();
    options.command = command.c_str();
  } while (status_of(options) != PYRO_OK);
  const auto request = make_run_request(options, "");
  REQUIRE(request.ok());
  pyro::wire::FrameParser parser;
  parser.feed(pyro::wire::message_frame(pyro::wire::FrameType::exec, 1, request->command.exec));
  const auto frame = parser.next();
  REQUIRE(frame.ok());
  REQUIRE(frame->has_value());
  const auto exec = pyro::wire::Exec::decode((*frame)->payload);
  REQUIRE(exec.ok());
  CHECK(exec->argv.back() == command);
}

TEST_CASE("structs: of an older program, a newer one, and never initialised") {
  World world;
  Session session(world);
  struct Newer {
    pyro_env_options known = PYRO_ENV_OPTIONS_INIT;
    std::uint64_t unknown = 0;
  } newer;
  newer.known.struct_size = sizeof newer;
  CHECK(pyro_env_list(session.context, &newer.known, &session.list, nullptr) == PYRO_OK);
  newer.unknown = 1;
  CHECK(pyro_env_list(session.context, &newer.known, &session.list, nullptr) == PYRO_ERROR_UNSUPPORTED);

  pyro_env_options older = PYRO_ENV_OPTIONS_INIT;
  older.struct_size = offsetof(pyro_env_options, name);
  older.name = "not looked at: ..";
  pyro_environment_list_destroy(&session.list);
  CHECK(pyro_env_list(session.context, &older, &session.list, nullptr) == PYRO_OK);
  older.struct_size = 0;
  CHECK(pyro_env_list(session.context, &older, &session.list, nullptr) == PYRO_ERROR_INVALID);

  pyro_run_options options;
  std::memset(&options, 0xff, sizeof options);
  pyro_run_options_init(&options, sizeof options);
  CHECK(options.struct_size == sizeof options);
  CHECK(options.environment == nullptr);
  pyro_run_options_init(nullptr, 8);
}

TEST_CASE("structs: an event of an older program → filled as far as it goes") {
  World world;
  Session session(world);
  REQUIRE(pyro_env_list_start(session.context, nullptr, &session.op, nullptr) == PYRO_OK);
  struct {
    std::uint32_t struct_size;
    std::uint32_t kind;
    unsigned char guard[sizeof(pyro_event)];
  } old{};
  old.struct_size = 8;
  std::memset(old.guard, 0xee, sizeof old.guard);
  auto* event = reinterpret_cast<pyro_event*>(&old);
  REQUIRE(pyro_op_next(session.op, 10'000, event, nullptr) == PYRO_OK);
  CHECK(old.struct_size == 8);
  CHECK(old.kind == PYRO_EVENT_PROGRESS);
  CHECK(old.guard[0] == 0xee);
  old.struct_size = 0;
  CHECK(pyro_op_next(session.op, 0, event, nullptr) == PYRO_ERROR_INVALID);
}

TEST_CASE("null: arguments that are missing → INVALID, destroyers do nothing") {
  World world;
  Session session(world);
  pyro_run_options options = valid_options();
  CHECK(pyro_open(nullptr, nullptr, nullptr) == PYRO_ERROR_INVALID);
  CHECK(pyro_run_in_vm(nullptr, &options, &session.result, nullptr) == PYRO_ERROR_INVALID);
  CHECK(pyro_run_in_vm(session.context, nullptr, &session.result, nullptr) == PYRO_ERROR_INVALID);
  CHECK(pyro_run_in_vm(session.context, &options, nullptr, nullptr) == PYRO_ERROR_INVALID);
  CHECK(pyro_run_in_vm_start(session.context, &options, nullptr, nullptr) == PYRO_ERROR_INVALID);
  CHECK(pyro_op_next(nullptr, 0, nullptr, nullptr) == PYRO_ERROR_INVALID);
  CHECK(pyro_op_fd(nullptr) == -1);
  CHECK(pyro_op_cancel(nullptr, nullptr) == PYRO_ERROR_INVALID);
  CHECK(pyro_log_next(nullptr, nullptr) == PYRO_ERROR_INVALID);
  pyro_op_destroy(nullptr);
  pyro_error_destroy(nullptr);
  pyro_result_destroy(nullptr);
  pyro_close(nullptr);
  CHECK(pyro_error_code(nullptr) == PYRO_OK);
  CHECK(std::string_view(pyro_error_message(nullptr)).empty());
  options.stdin_mode = PYRO_STDIN_STREAM;
  CHECK(pyro_run_in_vm(session.context, &options, &session.result, nullptr) == PYRO_ERROR_INVALID);
}

TEST_SUITE_END();

}  // namespace
