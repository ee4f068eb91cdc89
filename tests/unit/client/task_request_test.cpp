// Options of tasks: defaults, ranges, and what is refused before anything is done.
#include "client/task_request.hpp"

#include <array>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace pyro::client;

namespace {

constexpr const char* kId = "k7dq2mxw4zpa";

pyro_task_options valid_task() {
  pyro_task_options options = PYRO_TASK_OPTIONS_INIT;
  options.environment = "debian:12";
  return options;
}

pyro_status status_of(const pyro_task_options& options) {
  const auto record = make_task_record(options, "");
  return record.ok() ? PYRO_OK : record.error().code;
}

pyro_exec_options valid_exec() {
  pyro_exec_options options = PYRO_EXEC_OPTIONS_INIT;
  options.task_id = kId;
  options.command = "true";
  return options;
}

pyro_status status_of(const pyro_exec_options& options) {
  const auto request = make_exec_request(options);
  return request.ok() ? PYRO_OK : request.error().code;
}

}  // namespace

TEST_CASE("task options: nothing set but the required → the defaults of the contract") {
  const auto record = make_task_record(valid_task(), "");
  REQUIRE(record.ok());
  CHECK(record->environment == "debian:12");
  CHECK(record->vcpu_count == 1);
  CHECK(record->mem_mib == 1024);
  CHECK(record->disk_mib == 2048);
  CHECK(record->boot_timeout_ms == 60'000);
  CHECK(record->ttl_ms == 600'000);
  CHECK(record->max_lifetime_ms == 0);
  CHECK(record->retention_ms == 7ULL * 24 * 3600 * 1000);
  CHECK(record->engine == PYRO_ENGINE_AUTO);
  CHECK(record->labels.empty());
}

TEST_CASE("task options: PYRO_ENGINE fills in AUTO for a start → the record keeps what was asked for") {
  CHECK(make_task_record(valid_task(), "software")->engine == PYRO_ENGINE_AUTO);
  auto options = valid_task();
  options.engine = PYRO_ENGINE_KVM;
  CHECK(make_task_record(options, "software")->engine == PYRO_ENGINE_KVM);
}

TEST_CASE("task options: what makes no sense → refused, each with its status") {
  auto options = valid_task();
  SUBCASE("no environment") {
    options.environment = nullptr;
    CHECK(status_of(options) == PYRO_ERROR_INVALID);
  }
  SUBCASE("a TTL of nothing, or of more than a year") {
    options.ttl_seconds = -5;
    CHECK(status_of(options) == PYRO_ERROR_INVALID);
    options.ttl_seconds = 1e12;
    CHECK(status_of(options) == PYRO_ERROR_INVALID);
  }
  SUBCASE("no TTL, no retention") {
    options.ttl_seconds = PYRO_NO_TIMEOUT;
    options.retention_seconds = PYRO_NO_TIMEOUT;
    const auto record = make_task_record(options, "");
    REQUIRE(record.ok());
    CHECK(record->ttl_ms == 0);
    CHECK(record->retention_ms == 0);
  }
  SUBCASE("labels") {
    const std::array<const char*, 2> good{"b=2", "a=1"};
    options.labels = good.data();
    options.label_count = good.size();
    CHECK(make_task_record(options, "")->labels.front().first == "a");
    const std::array<const char*, 2> twice{"a=1", "a=2"};
    options.labels = twice.data();
    CHECK(status_of(options) == PYRO_ERROR_INVALID);
    const std::array<const char*, 2> null{"a=1", nullptr};
    options.labels = null.data();
    CHECK(status_of(options) == PYRO_ERROR_INVALID);
    options.labels = nullptr;
    CHECK(status_of(options) == PYRO_ERROR_INVALID);
    const std::vector<const char*> many(65, "a=1");
    options.labels = many.data();
    options.label_count = many.size();
    CHECK(status_of(options) == PYRO_ERROR_LIMIT);
  }
  SUBCASE("a network") {
    options.network = 1;
    CHECK(status_of(options) == PYRO_ERROR_UNSUPPORTED);
  }
}

TEST_CASE("exec options: an id that is none, no command, a detached command with input → refused") {
  CHECK(status_of(valid_exec()) == PYRO_OK);
  auto options = valid_exec();
  SUBCASE("ids") {
    for (const char* id : {"", "..", "../../etc/passwd", "K7DQ2MXW4ZPA", "k7dq2mxw4zpa1"}) {
      options.task_id = id;
      CHECK(status_of(options) == PYRO_ERROR_INVALID);
    }
    options.task_id = nullptr;
    CHECK(status_of(options) == PYRO_ERROR_INVALID);
  }
  SUBCASE("no command") {
    options.command = nullptr;
    CHECK(status_of(options) == PYRO_ERROR_INVALID);
  }
  SUBCASE("detached") {
    options.detach = 1;
    CHECK(make_exec_request(options)->detach);
    options.stdin_data = "x";
    options.stdin_size = 1;
    CHECK(status_of(options) == PYRO_ERROR_INVALID);
    options.stdin_size = 0;
    options.stdin_data = nullptr;
    options.stdin_mode = PYRO_STDIN_STREAM;
    CHECK(status_of(options) == PYRO_ERROR_INVALID);
    options.detach = 2;
    CHECK(status_of(options) == PYRO_ERROR_INVALID);
  }
}

TEST_CASE("logs and list options: unknown modes and states → refused; defaults as documented") {
  pyro_logs_options logs = PYRO_LOGS_OPTIONS_INIT;
  logs.task_id = kId;
  CHECK(make_logs_request(logs)->command_limit == 1000);
  CHECK(make_logs_request(logs)->output_limit_bytes == 1024 * 1024);
  logs.mode = 3;
  CHECK(make_logs_request(logs).error().code == PYRO_ERROR_INVALID);
  pyro_task_query query = PYRO_TASK_QUERY_INIT;
  CHECK(make_list_request(query)->state_mask == 0);
  query.state_mask = 1U << PYRO_VM_FAILED;
  CHECK(make_list_request(query).ok());
  query.state_mask = 1U << (PYRO_VM_FAILED + 1);
  CHECK(make_list_request(query).error().code == PYRO_ERROR_INVALID);
}
