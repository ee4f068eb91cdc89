// Who a command runs as, from the guest's own passwd and group files.
#include <doctest/doctest.h>

#include "guest/accounts.hpp"

namespace pyro::guest {

namespace {

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "broken line\n"
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
    "builder:x:1000:1000:,,,:/home/builder:/bin/zsh\n"
    "bare:x:1001:100:::\n"
    "minus:x:4294967295:1::/:/bin/sh\n";
constexpr std::string_view kGroup =
    "root:x:0:\n"
    "tty:x:5:\n"
    "users:x:100:builder,daemon\n"
    "docker:x:998:builder\n"
    "builder:x:1000:\n"
    "short:x\n";

Account must(std::string_view user) {
  auto account = resolve_account(user, kPasswd, kGroup);
  REQUIRE(account.ok());
  return *account;
}

}  // namespace

TEST_SUITE("guest") {
  TEST_CASE("account: a name with an entry → its ids, home, shell and groups") {
    const Account account = must("builder");
    CHECK(account.uid == 1000);
    CHECK(account.gid == 1000);
    CHECK(account.groups == std::vector<std::uint32_t>{1000, 100, 998});
    CHECK(account.name == "builder");
    CHECK(account.home == "/home/builder");
    CHECK(account.shell == "/bin/zsh");
  }

  TEST_CASE("account: nothing named → root") {
    CHECK(must("").name == "root");
    CHECK(must("").home == "/root");
    CHECK(must("root").shell == "/bin/bash");
  }

  TEST_CASE("account: root without any passwd file → root all the same") {
    const auto account = resolve_account("root", "", "");
    REQUIRE(account.ok());
    CHECK(account->uid == 0);
    CHECK(account->home == "/root");
    CHECK(account->shell == "/bin/sh");
  }

  TEST_CASE("account: a number with an entry → that entry; without one → group 0 and home /") {
    CHECK(must("1000").name == "builder");
    const Account stranger = must("4242");
    CHECK(stranger.uid == 4242);
    CHECK(stranger.gid == 0);
    CHECK(stranger.name == "4242");
    CHECK(stranger.home == "/");
  }

  TEST_CASE("account: a group is named → only that group") {
    CHECK(must("builder:docker").gid == 998);
    CHECK(must("builder:docker").groups == std::vector<std::uint32_t>{998});
    CHECK(must("7:8").uid == 7);
    CHECK(must("7:8").gid == 8);
  }

  TEST_CASE("account: empty home and shell → the defaults") {
    CHECK(must("bare").home == "/");
    CHECK(must("bare").shell == "/bin/sh");
  }

  TEST_CASE("account: unknown names, and numbers that are none → not found") {
    for (const std::string_view user :
         {"nobody", "root:nogroup", "-1", "4294967295", "99999999999", "1x", "minus", "7:"}) {
      CAPTURE(user);
      const auto account = resolve_account(user, kPasswd, kGroup);
      REQUIRE_FALSE(account.ok());
      CHECK(account.error().code == PYRO_ERROR_NOT_FOUND);
    }
  }
}

}  // namespace pyro::guest
