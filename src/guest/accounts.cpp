#include "guest/accounts.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace pyro::guest {

namespace {

// The kernel refuses more (NGROUPS_MAX).
constexpr std::size_t kMaxGroups = 65536;
// (uid_t) -1 means "leave as it is" to the system calls, so it is nobody's number.
constexpr std::uint32_t kNoId = 0xffffffff;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(at + 1);
  }
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == kNoId) {
    return std::nullopt;
  }
  return value;
}

struct PasswdEntry {
  std::string_view name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string_view home;
  std::string_view shell;
};

// name:password:uid:gid:comment:home:shell
std::optional<PasswdEntry> find_user(std::string_view passwd, std::string_view name, std::optional<std::uint32_t> uid) {
  for (const auto line : split(passwd, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() != 7 || fields[0].empty()) {
      continue;
    }
    const auto entry_uid = number(fields[2]);
    const auto entry_gid = number(fields[3]);
    if (entry_uid && entry_gid && (uid ? *entry_uid == *uid : fields[0] == name)) {
      return PasswdEntry{fields[0], *entry_uid, *entry_gid, fields[5], fields[6]};
    }
  }
  return std::nullopt;
}

// name:password:gid:member,member
template <typename Visit>
void for_each_group(std::string_view group, Visit visit) {
  for (const auto line : split(group, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() != 4 || fields[0].empty()) {
      continue;
    }
    if (const auto gid = number(fields[2])) {
      visit(fields[0], *gid, fields[3]);
    }
  }
}

base::Result<std::uint32_t> resolve_group(std::string_view wanted, std::string_view group) {
  if (const auto gid = number(wanted)) {
    return *gid;
  }
  std::optional<std::uint32_t> found;
  for_each_group(group, [&](std::string_view name, std::uint32_t gid, std::string_view) {
    if (!found && name == wanted) {
      found = gid;
    }
  });
  if (!found) {
    return base::make_error(PYRO_ERROR_NOT_FOUND, "the environment has no group \"{}\" in /etc/group", wanted);
  }
  return *found;
}

std::vector<std::uint32_t> supplementary_groups(const Account& account, std::string_view group) {
  std::vector<std::uint32_t> groups{account.gid};
  for_each_group(group, [&](std::string_view, std::uint32_t gid, std::string_view members) {
    const auto names = split(members, ',');
    if (groups.size() < kMaxGroups && std::find(names.begin(), names.end(), account.name) != names.end() &&
        std::find(groups.begin(), groups.end(), gid) == groups.end()) {
      groups.push_back(gid);
    }
  });
  return groups;
}

}  // namespace

base::Result<Account> resolve_account(std::string_view user, std::string_view passwd, std::string_view group) {
  const auto colon = user.find(':');
  const std::string_view wanted = user.empty() ? "root" : user.substr(0, colon);
  const auto uid = number(wanted);

  Account account;
  if (const auto entry = find_user(passwd, wanted, uid)) {
    account.uid = entry->uid;
    account.gid = entry->gid;
    account.name = entry->name;
    if (!entry->home.empty()) {
      account.home = entry->home;
    }
    if (!entry->shell.empty()) {
      account.shell = entry->shell;
    }
  } else if (wanted == "root" || uid == 0U) {
    account.name = "root";
    account.home = "/root";
  } else if (uid) {
    account.uid = *uid;
    account.name = wanted;
  } else {
    return base::make_error(PYRO_ERROR_NOT_FOUND,
                            "the environment has no user \"{}\" in /etc/passwd; name one that it has, or a number",
                            wanted);
  }

  if (colon == std::string_view::npos) {
    account.groups = supplementary_groups(account, group);
    return account;
  }
  PYRO_TRY_ASSIGN(account.gid, resolve_group(user.substr(colon + 1), group));
  account.groups = {account.gid};
  return account;
}

}  // namespace pyro::guest
