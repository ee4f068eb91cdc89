#include "guest/accounts.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace pyro::guest {

namespace {

// The kernel refuses more (NGROUPS_MAX).
constexpr std::size_t kMaxGroups = 65536;
// (uid_t) -1 means "leave as it is" to the system calls, so it is nobody's number.
constexpr std::uint32_t kNoId = 0xffffffff;

// What comes before the next `separator`, which is taken off `text` with it.
std::string_view take(std::string_view& text, char separator) {
  const auto at = std::min(text.find(separator), text.size());
  const auto part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

// The parts of a line of exactly `Count`.
template <std::size_t Count>
std::optional<std::array<std::string_view, Count>> fields_of(std::string_view line) {
  if (static_cast<std::size_t>(std::count(line.begin(), line.end(), ':')) != Count - 1) {
    return std::nullopt;
  }
  std::array<std::string_view, Count> fields;
  for (auto& field : fields) {
    field = take(line, ':');
  }
  return fields;
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
  while (!passwd.empty()) {
    const auto fields = fields_of<7>(take(passwd, '\n'));
    if (!fields || (*fields)[0].empty()) {
      continue;
    }
    const auto& [entry_name, password, uid_text, gid_text, comment, home, shell] = *fields;
    const auto entry_uid = number(uid_text);
    const auto entry_gid = number(gid_text);
    if (entry_uid && entry_gid && (uid ? *entry_uid == *uid : entry_name == name)) {
      return PasswdEntry{entry_name, *entry_uid, *entry_gid, home, shell};
    }
  }
  return std::nullopt;
}

// name:password:gid:member,member
template <typename Visit>
void for_each_group(std::string_view group, Visit visit) {
  while (!group.empty()) {
    const auto fields = fields_of<4>(take(group, '\n'));
    if (!fields || (*fields)[0].empty()) {
      continue;
    }
    if (const auto gid = number((*fields)[2])) {
      visit((*fields)[0], *gid, (*fields)[3]);
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
    bool is_member = false;
    while (!members.empty() && !is_member) {
      is_member = take(members, ',') == account.name;
    }
    if (is_member && groups.size() < kMaxGroups && std::find(groups.begin(), groups.end(), gid) == groups.end()) {
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
