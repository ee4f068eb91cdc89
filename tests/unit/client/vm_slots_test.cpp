// Caps for all VMs together, and who takes a slot.
#include "client/vm_slots.hpp"

#include "fixture.hpp"

#include <map>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

using namespace pyro;
using client::Caps;

namespace {

struct SlotsHome {
  SlotsHome() {
    settings.home = folder / "home";
    settings.caps = {.max_vms = 3, .max_mem_mib = 1000, .disk_reserve_mib = Caps::kNone, .mem_overcommit = 2};
  }
  base::Result<client::FileLock> take(std::uint32_t mem_mib = 256) const {
    return client::take_slot(settings, {PYRO_ENGINE_KVM, mem_mib});
  }
  [[nodiscard]] client::SlotUse use() const {
    const auto found = client::look_at_slots(settings);
    REQUIRE(found.ok());
    return *found;
  }
  fixture::TempDir folder;
  client::Settings settings;
};

base::Result<Caps> caps_of(const std::map<std::string, std::string>& variables, const pyro_open_options& options = {}) {
  return client::read_caps(options, [&variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  });
}

}  // namespace

TEST_CASE("vm slots: taken → counted until it is released, whoever has the descriptor; then the next one gets it") {
  const SlotsHome home;
  CHECK(home.use().vms == 0);
  auto first = home.take();
  REQUIRE(first.ok());
  auto second = home.take();
  REQUIRE(second.ok());
  CHECK(home.use().vms == 2);
  CHECK(home.use().expected_mib == 2 * (256 / 2 + 8));
  const base::Fd copy(::fcntl(first->fd(), F_DUPFD_CLOEXEC, 3));
  first->release();
  CHECK(home.use().vms == 1);
  auto third = home.take();
  auto fourth = home.take();
  CHECK(home.use().vms == 3);
  second->release();
  third->release();
  fourth->release();
  const auto last = home.take();
  struct stat info {};
  REQUIRE(::stat((home.settings.home + "/slots").c_str(), &info) == 0);
  CHECK(info.st_size == 16);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("vm slots: a forked child that destroys its copy → it stays taken") {
  const SlotsHome home;
  auto slot = home.take();
  const pid_t child = ::fork();
  if (child == 0) {
    slot->release();
    ::_exit(0);
  }
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK(home.use().vms == 1);
}

TEST_CASE("vm slots: a VM's descriptor → cannot write") {
  const SlotsHome home;
  const auto slot = home.take();
  REQUIRE(slot.ok());
  CHECK((::fcntl(slot->fd(), F_GETFL) & O_ACCMODE) == O_RDONLY);
  CHECK((::fcntl(slot->fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("vm slots: a cap is reached → LIMIT, with the figures and what raises it") {
  SlotsHome home;
  std::vector<client::FileLock> held;
  SUBCASE("of VMs") {
    for (int i = 0; i < 3; ++i) {
      held.push_back(std::move(*home.take(128)));
    }
    const auto refused = home.take(128);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == PYRO_ERROR_LIMIT);
    CHECK(refused.error().message.find("3 VMs run, and no more than 3") != std::string::npos);
    CHECK(refused.error().message.find("PYRO_MAX_VMS") != std::string::npos);
    home.settings.caps.max_vms = Caps::kNone;
    CHECK(home.take(128).ok());
  }
  SUBCASE("of memory") {
    held.push_back(std::move(*home.take(1600)));
    const auto refused = home.take(512);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == PYRO_ERROR_LIMIT);
    CHECK(refused.error().message.find("take 808 MiB") != std::string::npos);
    CHECK(refused.error().message.find("264 MiB more") != std::string::npos);
    CHECK(home.take(256).ok());
    home.settings.caps.max_mem_mib = Caps::kNone;
    CHECK(home.take(512).ok());
  }
  SUBCASE("of the disk") {
    home.settings.caps.disk_reserve_mib = std::uint64_t{1} << 40;
    CHECK(home.take().error().message.find("PYRO_DISK_RESERVE_MIB") != std::string::npos);
  }
}

TEST_CASE("vm slots: a record that makes no sense → an ordinary VM, for as long as somebody holds it") {
  const SlotsHome home;
  auto slot = home.take();
  fixture::write_file(home.settings.home + "/slots", "torn");
  CHECK(home.use().vms == 1);
  CHECK(home.use().expected_mib == 1024 / 2 + 96);
  slot->release();
  CHECK(home.use().vms == 0);
  CHECK(home.take().ok());
}

TEST_CASE("vm slots: many processes at once → never more than the cap") {
  const SlotsHome home;
  std::vector<pid_t> children;
  auto gate = base::make_pipe();
  const auto tried = base::make_pipe();
  for (int i = 0; i < 20; ++i) {
    children.push_back(::fork());
    if (children.back() == 0) {
      char byte = 0;
      ::close(gate->second.release());
      const auto slot = home.take(128);
      // Holds it until the parent has counted.
      [[maybe_unused]] const auto put = ::write(tried->second.get(), &byte, 1);
      [[maybe_unused]] const auto got = ::read(gate->first.get(), &byte, 1);
      ::_exit(slot.ok() ? 1 : 0);
    }
  }
  std::uint64_t most = 0;
  for (int i = 0; i < 20; ++i) {
    char byte = 0;
    REQUIRE(::read(tried->first.get(), &byte, 1) == 1);
    most = std::max(most, home.use().vms);
  }
  gate->second.reset();
  int taken = 0;
  for (const pid_t child : children) {
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    taken += WEXITSTATUS(status);
  }
  CHECK(most == 3);
  CHECK(taken == 3);
  CHECK(home.use().vms == 0);
}

TEST_CASE("caps: options → before variables, before the host's size") {
  const auto none = caps_of({});
  const Caps defaults = client::with_defaults(*none, "/");
  CHECK(defaults.max_vms >= 64);
  CHECK(defaults.max_mem_mib == client::host_memory_mib());
  CHECK(defaults.max_mem_mib > 0);
  CHECK(defaults.disk_reserve_mib <= 1024);
  CHECK(defaults.mem_overcommit == 8);
  const std::map<std::string, std::string> variables{{"PYRO_MAX_VMS", "7"},
                                                     {"PYRO_MAX_MEM_MIB", "none"},
                                                     {"PYRO_DISK_RESERVE_MIB", "none"},
                                                     {"PYRO_MEM_OVERCOMMIT", "1.5"}};
  const Caps set = client::with_defaults(*caps_of(variables), "/");
  CHECK(set.max_vms == 7);
  CHECK(set.max_mem_mib == Caps::kNone);
  CHECK(set.disk_reserve_mib == 0);
  CHECK(set.mem_overcommit == 1.5);
  pyro_open_options options = PYRO_OPEN_OPTIONS_INIT;
  options.max_vms = 9;
  options.mem_overcommit = 3;
  CHECK(caps_of(variables, options)->max_vms == 9);
  CHECK(caps_of(variables, options)->mem_overcommit == 3);
}

TEST_CASE("caps: what is no cap → INVALID") {
  for (const char* wrong : {"0", "-1", "x", "1x", " 1", "18446744073709551616"}) {
    CAPTURE(wrong);
    CHECK(caps_of({{"PYRO_MAX_VMS", wrong}}).error().code == PYRO_ERROR_INVALID);
  }
  for (const char* wrong : {"0.5", "nan", "x", "1001", "inf"}) {
    CAPTURE(wrong);
    CHECK(caps_of({{"PYRO_MEM_OVERCOMMIT", wrong}}).error().code == PYRO_ERROR_INVALID);
  }
  pyro_open_options options = PYRO_OPEN_OPTIONS_INIT;
  options.mem_overcommit = -1;
  CHECK(caps_of({}, options).error().code == PYRO_ERROR_INVALID);
}
