// What the client finds out about its host: engine, probe cache, home folder, doctor, log, versions.
#include "fixture.hpp"

#include "client/doctor.hpp"
#include "client/engine.hpp"
#include "client/home.hpp"
#include "client/kvm_probe.hpp"
#include "client/log_ring.hpp"

#include <map>
#include <string>
#include <string_view>
#include <thread>

#include <unistd.h>

namespace {

using fixture::Session;
using fixture::TempDir;
using fixture::World;
using namespace pyro::client;

bool has_kvm_device() {
  return ::access("/dev/kvm", F_OK) == 0;
}

TEST_SUITE_BEGIN("client");

TEST_CASE("engine: PYRO_ENGINE → fills in auto only, and is refused if it is no engine") {
  CHECK(wanted_engine(PYRO_ENGINE_AUTO, "").value() == PYRO_ENGINE_AUTO);
  CHECK(wanted_engine(PYRO_ENGINE_AUTO, "software").value() == PYRO_ENGINE_SOFTWARE);
  CHECK(wanted_engine(PYRO_ENGINE_AUTO, "kvm").value() == PYRO_ENGINE_KVM);
  CHECK(wanted_engine(PYRO_ENGINE_KVM, "software").value() == PYRO_ENGINE_KVM);
  CHECK(wanted_engine(PYRO_ENGINE_SOFTWARE, "nonsense").value() == PYRO_ENGINE_SOFTWARE);
  CHECK(wanted_engine(PYRO_ENGINE_AUTO, "nonsense").error().code == PYRO_ERROR_INVALID);
}

TEST_CASE("engine: kvm where it is not usable → UNSUPPORTED with the reason, never software") {
  for (const auto state : {PYRO_KVM_ABSENT, PYRO_KVM_NO_PERMISSION, PYRO_KVM_EMULATING}) {
    const auto choice = choose_engine(PYRO_ENGINE_KVM, KvmProbe{state, "the reason"});
    REQUIRE(!choice.ok());
    CHECK(choice.error().code == PYRO_ERROR_UNSUPPORTED);
    CHECK(choice.error().message.find("the reason") != std::string::npos);
  }
  CHECK(choose_engine(PYRO_ENGINE_KVM, KvmProbe{PYRO_KVM_ACCELERATED, "fast"}).ok());
}

TEST_CASE("engine: auto → kvm where it is accelerated, else software with the reason") {
  CHECK(choose_engine(PYRO_ENGINE_AUTO, KvmProbe{PYRO_KVM_ACCELERATED, "fast"})->engine == PYRO_ENGINE_KVM);
  for (const auto state : {PYRO_KVM_ABSENT, PYRO_KVM_NO_PERMISSION, PYRO_KVM_EMULATING}) {
    const auto choice = choose_engine(PYRO_ENGINE_AUTO, KvmProbe{state, "the reason"});
    REQUIRE(choice.ok());
    CHECK(choice->engine == PYRO_ENGINE_SOFTWARE);
    CHECK(choice->why == "the reason");
  }
}

TEST_CASE("engine: each state of /dev/kvm but the best → a remedy that fits it") {
  const std::map<pyro_kvm_state, std::string> words{{PYRO_KVM_ABSENT, "kvm_intel"},
                                                    {PYRO_KVM_NO_PERMISSION, "usermod -aG kvm"},
                                                    {PYRO_KVM_EMULATING, "hardware virtualization"},
                                                    {PYRO_KVM_ACCELERATED, ""}};
  for (const auto& [state, word] : words) {
    const std::string remedy = kvm_remedy(state);
    CHECK(remedy.empty() == word.empty());
    CHECK(remedy.find(word) != std::string::npos);
  }
}

TEST_CASE("engine: kvm states → names that survive a round trip; an unknown one counts as emulating") {
  for (const auto state : {PYRO_KVM_ABSENT, PYRO_KVM_NO_PERMISSION, PYRO_KVM_EMULATING, PYRO_KVM_ACCELERATED}) {
    CHECK(kvm_state_from_name(kvm_state_name(state)) == state);
  }
  CHECK(kvm_state_from_name("superb") == PYRO_KVM_EMULATING);
}

TEST_CASE("run: engine kvm → measured once, cached, and UNSUPPORTED on an emulating host") {
  if (!has_kvm_device()) {
    MESSAGE("skipped in part: there is no /dev/kvm to measure");
  }
  World world;
  world.add_environment("test:1");
  Session session(world);
  pyro_run_options options = PYRO_RUN_OPTIONS_INIT;
  options.environment = "test:1";
  options.command = "true";
  options.engine = PYRO_ENGINE_KVM;
  for (int i = 0; i < 3; ++i) {
    pyro_error_destroy(&session.error);
    CHECK(pyro_run_in_vm(session.context, &options, &session.result, &session.error) == PYRO_ERROR_UNSUPPORTED);
  }
  CHECK(session.message().find(has_kvm_device() ? "the fake says emulating" : "no /dev/kvm") != std::string::npos);
  CHECK(fixture::read_file(world.libexec + "/probe_count") == (has_kvm_device() ? "x" : ""));
}

TEST_CASE("probe: a cache that is broken or of another boot → measured again") {
  if (!has_kvm_device()) {
    MESSAGE("skipped: there is no /dev/kvm to measure");
    return;
  }
  World world;
  Session session(world);
  const std::string cache = world.home + "/probe.json";
  const auto doctor = [&] {
    pyro_doctor_report_destroy(&session.report);
    REQUIRE(pyro_doctor(session.context, &session.report, nullptr) == PYRO_OK);
  };
  doctor();
  const std::string good = fixture::read_file(cache);
  REQUIRE(!good.empty());
  doctor();
  CHECK(fixture::read_file(world.libexec + "/probe_count") == "x");
  fixture::write_file(cache, "{}");
  doctor();
  fixture::write_file(cache,
                      good.substr(0, good.find("\"key\":\"") + 7) + "0" + good.substr(good.find("\"key\":\"") + 8));
  doctor();
  const std::size_t measured = fixture::read_file(world.libexec + "/probe_count").size();
  // The first digit of the boot id may have been a 0.
  CHECK(measured >= 2);
  CHECK(measured <= 3);
  CHECK(fixture::read_file(cache) == good);
}

TEST_CASE("doctor: stable names, JSON, and no failed check is healthy") {
  World world;
  Session session(world);
  REQUIRE(pyro_doctor(session.context, &session.report, &session.error) == PYRO_OK);
  std::vector<std::string> names;
  bool any_failed = false;
  for (std::size_t i = 0; i < session.report->check_count; ++i) {
    const pyro_check& check = *session.report->checks[i];
    CHECK(check.struct_size == sizeof check);
    names.emplace_back(check.name);
    any_failed = any_failed || check.status == PYRO_CHECK_FAILED;
    CHECK((check.status == PYRO_CHECK_OK || !std::string_view(check.remedy).empty()));
  }
  std::vector<std::string> expected{"kvm",    "engine",     "qemu",     "helpers",          "home",
                                    "limits", "cpu-shares", "registry", "environment-tools"};
  if (::geteuid() != 0) {
    expected.emplace_back("user-namespaces");
  }
  CHECK(names == expected);
  CHECK((session.report->healthy == 1) == !any_failed);
  CHECK(session.report->kvm_state == (has_kvm_device() ? PYRO_KVM_EMULATING : PYRO_KVM_ABSENT));
  CHECK(std::string_view(session.report->json).find("\"checks\":[{\"name\":\"kvm\"") != std::string_view::npos);
}

TEST_CASE("doctor: missing helpers → a failed check with a remedy; the state of kvm is a cautious guess") {
  World world;
  fixture::fs::remove(world.libexec + "/pyro-vm");
  const auto check = check_helpers(world.settings());
  CHECK(check.status == PYRO_CHECK_FAILED);
  CHECK(check.remedy.find("PYRO_LIBEXEC") != std::string::npos);
  Session session(world);
  REQUIRE(pyro_doctor(session.context, &session.report, nullptr) == PYRO_OK);
  CHECK(session.report->healthy == 0);
  CHECK(session.report->kvm_state != PYRO_KVM_ACCELERATED);
}

TEST_CASE("doctor: PYRO_ENGINE → picked if it works, a failed check if not") {
  World world;
  auto settings = world.settings();
  pyro_engine picked = PYRO_ENGINE_KVM;
  settings.engine_variable = "nonsense";
  CHECK(check_engine(settings, KvmProbe{}, picked).status == PYRO_CHECK_FAILED);
  CHECK(picked == PYRO_ENGINE_AUTO);
  settings.engine_variable = "kvm";
  CHECK(check_engine(settings, KvmProbe{}, picked).status == PYRO_CHECK_FAILED);
}

TEST_CASE("home: missing → made for its owner alone; others may write, or no folder → INVALID") {
  TempDir dir;
  const std::string home = dir / "a/b/home";
  REQUIRE(ensure_home(home).ok());
  struct stat info {};
  REQUIRE(::stat(home.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777U) == 0700);
  ::chmod(home.c_str(), 0770);
  auto refused = ensure_home(home);
  REQUIRE(!refused.ok());
  CHECK(refused.error().code == PYRO_ERROR_INVALID);
  CHECK(refused.error().message.find("chmod 700") != std::string::npos);
  fixture::write_file(dir / "file", "");
  CHECK(ensure_home(dir / "file").error().code == PYRO_ERROR_INVALID);
  refused = ensure_home(dir / "file/below");
  REQUIRE(!refused.ok());
  CHECK(refused.error().message.find("PYRO_HOME") != std::string::npos);
  CHECK(ensure_home("").error().code == PYRO_ERROR_INVALID);
  if (::geteuid() == 0) {
    ::chmod(home.c_str(), 0700);
    REQUIRE(::chown(home.c_str(), 12345, 12345) == 0);
    CHECK(ensure_home(home).error().message.find("belongs to user 12345") != std::string::npos);
  }
}

TEST_CASE("home: an unnamed file → writable, and nothing in the folder") {
  TempDir dir;
  const auto file = make_unnamed_file(dir.path());
  REQUIRE(file.ok());
  CHECK(::write(file->get(), "x", 1) == 1);
  CHECK(fixture::fs::is_empty(dir.path()));
}

TEST_CASE("log: more lines than fit → the newest are kept, in order; unwanted levels are not") {
  LogRing log(PYRO_LOG_INFO);
  log.add(PYRO_LOG_DEBUG, "unwanted");
  CHECK(!log.take().has_value());
  for (std::size_t i = 0; i < LogRing::kMaxLines + 5; ++i) {
    log.add(PYRO_LOG_INFO, "line {}", i);
  }
  CHECK(log.take()->message == "line 5");
  CHECK(log.take()->message == "line 6");
}

TEST_CASE("log: a run with a log level → lines a reader can use; without → none") {
  World world;
  world.add_environment("test:1");
  pyro_run_options options = PYRO_RUN_OPTIONS_INIT;
  options.environment = "test:1";
  const char* const argv[] = {"exit", "0"};
  options.argv = argv;
  options.argc = 2;
  pyro_log_record record{};
  record.struct_size = sizeof record;
  {
    Session session(world);
    REQUIRE(pyro_run_in_vm(session.context, &options, &session.result, nullptr) == PYRO_OK);
    bool told_engine = false;
    while (pyro_log_next(session.context, &record) == PYRO_OK) {
      told_engine = told_engine || std::string_view(record.message).find("engine software") != std::string_view::npos;
      CHECK(std::string_view(record.room) == "client");
    }
    CHECK(told_engine);
  }
  Session quiet(world, PYRO_LOG_OFF);
  REQUIRE(pyro_run_in_vm(quiet.context, &options, &quiet.result, nullptr) == PYRO_OK);
  CHECK(pyro_log_next(quiet.context, &record) == PYRO_END);
}

TEST_CASE("log: lines taken by two threads → each keeps its own; a record without a size loses none") {
  World world;
  Session session(world);
  for (int i = 0; i < 3; ++i) {
    pyro_env_list(session.context, nullptr, &session.list, nullptr);
    pyro_environment_list_destroy(&session.list);
  }
  pyro_log_record unset{};
  CHECK(pyro_log_next(session.context, &unset) == PYRO_ERROR_INVALID);
  pyro_log_record mine{};
  mine.struct_size = sizeof mine;
  REQUIRE(pyro_log_next(session.context, &mine) == PYRO_OK);
  const char* const where = mine.message;
  const std::string said = where;
  std::thread other([&session, where] {
    pyro_log_record theirs{};
    theirs.struct_size = sizeof theirs;
    REQUIRE(pyro_log_next(session.context, &theirs) == PYRO_OK);
    CHECK(theirs.message != where);
  });
  other.join();
  CHECK(mine.message == said);
  int left = 0;
  while (pyro_log_next(session.context, &mine) == PYRO_OK) {
    ++left;
  }
  CHECK(left == 1);
}

TEST_CASE("library: versions, features and status names") {
  CHECK(pyro_version_number() == PYRO_VERSION_NUMBER);
  CHECK(std::string_view(pyro_version_string()) == PYRO_VERSION_STRING);
  CHECK(pyro_feature("engine.software") == 1);
  CHECK(pyro_feature("network") == 0);
  CHECK(pyro_feature("no such thing") == 0);
  CHECK(pyro_feature(nullptr) == 0);
  CHECK(std::string_view(pyro_status_name(PYRO_ERROR_OUTCOME_UNKNOWN)) == "outcome_unknown");
}

TEST_SUITE_END();

}  // namespace
