// Who a command runs as, from the guest's own passwd and group files.
#include <doctest/doctest.h>

#include "guest/accounts.hpp"

#include <string>
#include <vector>

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

std::optional<Account> resolve(std::string_view user, std::string_view passwd, std::string_view group) {
  Account account;
  AccountLookup lookup(user, account);
  const auto lines = [](std::string_view text, auto visit) {
    for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
      visit(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
  };
  lines(passwd, [&](std::string_view line) { lookup.passwd_line(line); });
  if (!lookup.end_passwd()) {
    return std::nullopt;
  }
  lines(group, [&](std::string_view line) { lookup.group_line(line); });
  return lookup.end_group() ? std::optional(account) : std::nullopt;
}

Account must(std::string_view user) {
  auto account = resolve(user, kPasswd, kGroup);
  REQUIRE(account);
  return *account;
}

std::vector<std::uint32_t> groups_of(const Account& account) {
  return {account.groups.begin(), account.groups.begin() + static_cast<std::ptrdiff_t>(account.group_count)};
}

}  // namespace

TEST_SUITE("guest") {
  TEST_CASE("account: a name with an entry → its ids, home, shell and groups") {
    const Account account = must("builder");
    CHECK(account.uid == 1000);
    CHECK(account.gid == 1000);
    CHECK(groups_of(account) == std::vector<std::uint32_t>{1000, 100, 998});
    CHECK(account.name.view() == "builder");
    CHECK(account.home.view() == "/home/builder");
    CHECK(account.shell.view() == "/bin/zsh");
  }

  TEST_CASE("account: nothing named → root") {
    CHECK(must("").name.view() == "root");
    CHECK(must("").home.view() == "/root");
    CHECK(must("root").shell.view() == "/bin/bash");
  }

  TEST_CASE("account: root without any passwd file → root all the same") {
    const auto account = resolve("root", "", "");
    REQUIRE(account);
    CHECK(account->uid == 0);
    CHECK(account->home.view() == "/root");
    CHECK(account->shell.view() == "/bin/sh");
  }

  TEST_CASE("account: a number with an entry → that entry; without one → group 0 and home /") {
    CHECK(must("1000").name.view() == "builder");
    const Account stranger = must("4242");
    CHECK(stranger.uid == 4242);
    CHECK(stranger.gid == 0);
    CHECK(stranger.name.view() == "4242");
    CHECK(stranger.home.view() == "/");
  }

  TEST_CASE("account: a group is named → only that group") {
    CHECK(must("builder:docker").gid == 998);
    CHECK(groups_of(must("builder:docker")) == std::vector<std::uint32_t>{998});
    CHECK(must("7:8").uid == 7);
    CHECK(must("7:8").gid == 8);
  }

  TEST_CASE("account: empty home and shell → the defaults") {
    CHECK(must("bare").home.view() == "/");
    CHECK(must("bare").shell.view() == "/bin/sh");
  }

  TEST_CASE("account: more groups than fit, a home that is too long → the first groups, no entry") {
    std::string group;
    for (std::size_t i = 0; i < kMaxGroups + 9; ++i) {
      group += "g" + std::to_string(i) + ":x:" + std::to_string(5000 + i) + ":builder\n";
    }
    const auto account = resolve("builder", kPasswd, group);
    REQUIRE(account);
    CHECK(account->group_count == kMaxGroups);
    CHECK(account->groups[1] == 5000);
    const std::string passwd = "long:x:5:5::/" + std::string(kMaxAccountTextBytes, 'h') + ":/bin/sh\n";
    CHECK_FALSE(resolve("long", passwd, ""));
  }

  TEST_CASE("account: unknown names, and numbers that are none → not found") {
    for (const std::string_view user :
         {"nobody", "root:nogroup", "-1", "4294967295", "99999999999", "1x", "minus", "7:"}) {
      CAPTURE(user);
      CHECK_FALSE(resolve(user, kPasswd, kGroup));
    }
  }
}

}  // namespace pyro::guest
