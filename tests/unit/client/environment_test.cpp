// Environments: the cheap check in the process, and the conversation with a fake pyro-image.
#include "fixture.hpp"

#include "client/environment_store.hpp"

#include <chrono>
#include <string_view>
#include <thread>

#include <utime.h>

namespace {

using fixture::Session;
using fixture::World;
using pyro::client::EnvironmentNeed;
using pyro::client::look_up_environment;

pyro_run_options exit_zero() {
  static const char* const arguments[] = {"exit", "0"};
  pyro_run_options options = PYRO_RUN_OPTIONS_INIT;
  options.environment = "test:1";
  options.argv = arguments;
  options.argc = 2;
  return options;
}

TEST_SUITE_BEGIN("client");

TEST_CASE("lookup: a complete environment → open files and its digest") {
  World world;
  world.add_environment("test:1");
  const auto lookup = look_up_environment(world.home, "test:1");
  CAPTURE(lookup.why);
  REQUIRE(lookup.need == EnvironmentNeed::nothing);
  CHECK(lookup.files.kernel.valid());
  CHECK(lookup.files.initramfs.valid());
  CHECK(lookup.files.root.valid());
  CHECK(lookup.files.digest == "sha256:" + std::string(64, 'd'));
  CHECK(lookup.files.kernel_version == "6.1.0");
}

TEST_CASE("lookup: no record → build; no stamp, a touched, changed or missing file, a broken record → verify") {
  World world;
  CHECK(look_up_environment(world.home, "test:1").need == EnvironmentNeed::build);
  world.add_environment("test:1", true, false);
  CHECK(look_up_environment(world.home, "test:1").need == EnvironmentNeed::verify);
  const std::string root = world.home + "/environments/blobs/" + std::string(64, 'c');
  SUBCASE("touched") {
    world.add_environment("test:1");
    ::utime(root.c_str(), nullptr);
  }
  SUBCASE("changed") {
    world.add_environment("test:1");
    fixture::write_file(root, "blob X");
  }
  SUBCASE("missing") {
    world.add_environment("test:1");
    fixture::fs::remove(root);
  }
  SUBCASE("a symbolic link") {
    world.add_environment("test:1");
    fixture::fs::rename(root, root + ".moved");
    fixture::fs::create_symlink(root + ".moved", root);
  }
  SUBCASE("a broken record") {
    world.add_environment("test:1");
    fixture::write_file(world.home + "/environments/names/test:1", "{");
  }
  CHECK(look_up_environment(world.home, "test:1").need == EnvironmentNeed::verify);
}

TEST_CASE("run: an environment that is not there → built first, with progress, then run") {
  World world;
  world.add_environment("test:1", false, true);
  Session session(world);
  const auto options = exit_zero();
  REQUIRE(pyro_run_in_vm_start(session.context, &options, &session.op, nullptr) == PYRO_OK);
  pyro_event event = PYRO_EVENT_INIT;
  REQUIRE(pyro_op_next(session.op, 10'000, &event, nullptr) == PYRO_OK);
  CHECK(event.kind == PYRO_EVENT_PROGRESS);
  CHECK(std::string_view(event.stage) == "start");
  CHECK(std::string_view(event.message) == "working on test:1");
  CHECK(event.done == 1);
  CHECK(event.total == 2);
  while (pyro_op_next(session.op, 10'000, &event, nullptr) == PYRO_OK && event.kind < PYRO_EVENT_EXIT) {
  }
  CHECK(event.kind == PYRO_EVENT_EXIT);
  CHECK(world.requests() == "build test:1\nscratch \n");
}

TEST_CASE("run: a stamp that does not match → verified first") {
  World world;
  world.add_environment("test:1", true, false);
  Session session(world);
  const auto options = exit_zero();
  CHECK(pyro_run_in_vm(session.context, &options, &session.result, &session.error) == PYRO_OK);
  CHECK(world.requests() == "verify test:1\nscratch \n");
}

TEST_CASE("run: an environment pruned between pyro-image's answer and its use → asked for once more") {
  World world;
  world.add_environment("test:1", false, true);
  fixture::write_file(world.home + "/prune-once", "");
  Session session(world);
  const auto options = exit_zero();
  CHECK(pyro_run_in_vm(session.context, &options, &session.result, &session.error) == PYRO_OK);
  CHECK(world.requests() == "build test:1\nbuild test:1\nscratch \n");
}

TEST_CASE("run: an unknown environment → NOT_FOUND with the known ones; a verify that does not help → ENVIRONMENT") {
  World world;
  Session session(world);
  const auto options = exit_zero();
  CHECK(pyro_run_in_vm(session.context, &options, &session.result, &session.error) == PYRO_ERROR_NOT_FOUND);
  CHECK(session.message().find("known: a, b") != std::string::npos);
  pyro_error_destroy(&session.error);
  world.add_environment("test:1", true, false);
  fixture::write_file(world.home + "/ready-verify", "");
  CHECK(pyro_run_in_vm(session.context, &options, &session.result, &session.error) == PYRO_ERROR_ENVIRONMENT);
  CHECK(session.message().find("pyro env build --force test:1") != std::string::npos);
}

TEST_CASE("env list: two rows → both, with JSON") {
  World world;
  Session session(world);
  REQUIRE(pyro_env_list(session.context, nullptr, &session.list, &session.error) == PYRO_OK);
  REQUIRE(session.list->count == 2);
  const pyro_environment& first = *session.list->items[0];
  CHECK(std::string_view(first.name) == "debian:12");
  CHECK(first.available == 1);
  CHECK(first.size_bytes == 123'456'789'012);
  CHECK(first.created_at == 1'700'000'000);
  CHECK(session.list->items[1]->available == 0);
  CHECK(std::string_view(session.list->items[1]->digest).empty());
  CHECK(std::string_view(session.list->json).find("\"environments\":[") != std::string_view::npos);
  CHECK(std::string_view(session.list->json).find("\"event\"") == std::string_view::npos);
}

TEST_CASE("env prune: what was freed → in the JSON") {
  World world;
  Session session(world);
  REQUIRE(pyro_env_prune(session.context, nullptr, &session.list, nullptr) == PYRO_OK);
  CHECK(session.list->count == 0);
  CHECK(std::string_view(session.list->json).find("\"freed_bytes\":4096") != std::string_view::npos);
}

TEST_CASE("env: a pyro-image that dies or talks nonsense → INTERNAL, with its last words") {
  World world;
  Session session(world);
  pyro_env_options options = PYRO_ENV_OPTIONS_INIT;
  options.name = "dies";
  CHECK(pyro_env_build(session.context, &options, &session.list, &session.error) == PYRO_ERROR_INTERNAL);
  CHECK(session.message() == "pyro-image exited with code 3 without an answer: the reason");
  pyro_error_destroy(&session.error);
  options.name = "talks-nonsense";
  CHECK(pyro_env_build(session.context, &options, &session.list, &session.error) == PYRO_ERROR_INTERNAL);
}

TEST_CASE("env: a pyro-image whose pipes others hold, or that is slow to end → told apart by how it ends") {
  World world;
  Session session(world);
  pyro_env_options options = PYRO_ENV_OPTIONS_INIT;
  options.name = "dies-held";
  CHECK(pyro_env_build(session.context, &options, &session.list, &session.error) == PYRO_ERROR_INTERNAL);
  CHECK(session.message() == "pyro-image exited with code 3 without an answer");
  pyro_error_destroy(&session.error);
  options.name = "closes-output";
  CHECK(pyro_env_build(session.context, &options, &session.list, &session.error) == PYRO_ERROR_INTERNAL);
  CHECK(session.message() == "pyro-image exited with code 3 without an answer");
}

TEST_CASE("env: cancelled → CANCELLED, and pyro-image is told by the end of its input") {
  World world;
  Session session(world);
  pyro_env_options options = PYRO_ENV_OPTIONS_INIT;
  options.name = "waits";
  REQUIRE(pyro_env_build_start(session.context, &options, &session.op, nullptr) == PYRO_OK);
  pyro_event event = PYRO_EVENT_INIT;
  REQUIRE(pyro_op_next(session.op, 10'000, &event, nullptr) == PYRO_OK);
  REQUIRE(event.kind == PYRO_EVENT_PROGRESS);
  std::size_t accepted = 0;
  CHECK(pyro_op_write_stdin(session.op, "x", 1, &accepted, nullptr) == PYRO_ERROR_INVALID);
  REQUIRE(pyro_op_cancel(session.op, nullptr) == PYRO_OK);
  REQUIRE(pyro_op_next(session.op, -1, &event, nullptr) == PYRO_OK);
  CHECK(event.kind == PYRO_EVENT_ERROR);
  CHECK(pyro_error_code(event.error) == PYRO_ERROR_CANCELLED);
  pyro_op_destroy(&session.op);
  CHECK(fixture::fs::exists(world.home + "/stopped"));
}

TEST_CASE("env: wrong names, missing paths, what is not built → INVALID, UNSUPPORTED") {
  World world;
  Session session(world);
  pyro_env_options options = PYRO_ENV_OPTIONS_INIT;
  CHECK(pyro_env_build(session.context, nullptr, &session.list, nullptr) == PYRO_ERROR_INVALID);
  options.name = "../x";
  CHECK(pyro_env_build(session.context, &options, &session.list, nullptr) == PYRO_ERROR_INVALID);
  options.name = "mine";
  CHECK(pyro_env_import(session.context, &options, &session.list, nullptr) == PYRO_ERROR_INVALID);
  options.force = 2;
  CHECK(pyro_env_build(session.context, &options, &session.list, nullptr) == PYRO_ERROR_INVALID);
  options.force = 0;
  CHECK(pyro_env_pull(session.context, &options, &session.list, nullptr) == PYRO_ERROR_UNSUPPORTED);
  CHECK(pyro_env_pull_start(session.context, &options, &session.op, nullptr) == PYRO_ERROR_UNSUPPORTED);
  CHECK(world.requests().empty());
}

TEST_CASE("env: no helper programs → UNSUPPORTED, with what to do") {
  World world;
  fixture::fs::remove(world.libexec + "/pyro-image");
  Session session(world);
  CHECK(pyro_env_list(session.context, nullptr, &session.list, &session.error) == PYRO_ERROR_UNSUPPORTED);
  CHECK(session.message().find("PYRO_LIBEXEC") != std::string::npos);
}

TEST_SUITE_END();

}  // namespace
