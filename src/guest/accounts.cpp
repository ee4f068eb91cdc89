#include "guest/accounts.hpp"

#include <charconv>

namespace pyro::guest {

namespace {

// (uid_t) -1 means "leave as it is" to the system calls, so it is nobody's number.
constexpr std::uint32_t kNoId = 0xffffffff;

// What comes before the next `separator`, which is taken off `text` with it.
std::string_view take(std::string_view& text, char separator) noexcept {
  const auto at = std::min(text.find(separator), text.size());
  const auto part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

// The parts of a line of exactly `Count`, the first of them not empty.
template <std::size_t Count>
std::optional<std::array<std::string_view, Count>> fields_of(std::string_view line) noexcept {
  if (line.starts_with(':') || static_cast<std::size_t>(std::count(line.begin(), line.end(), ':')) != Count - 1) {
    return std::nullopt;
  }
  std::array<std::string_view, Count> fields;
  for (auto& field : fields) {
    field = take(line, ':');
  }
  return fields;
}

std::optional<std::uint32_t> number(std::string_view text) noexcept {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == kNoId) {
    return std::nullopt;
  }
  return value;
}

bool is_in(std::string_view members, std::string_view name) noexcept {
  while (!members.empty()) {
    if (take(members, ',') == name) {
      return true;
    }
  }
  return false;
}

}  // namespace

AccountNames account_names(std::string_view text) noexcept {
  const auto colon = text.find(':');
  AccountNames names;
  names.user = text.empty() ? "root" : text.substr(0, colon);
  if (colon != std::string_view::npos) {
    names.group = text.substr(colon + 1);
  }
  return names;
}

AccountLookup::AccountLookup(std::string_view user, Account& account) noexcept
    : names_(account_names(user)), uid_(number(names_.user)), account_(account) {
  account_.home.assign("/");
  account_.shell.assign("/bin/sh");
}

// name:password:uid:gid:comment:home:shell
void AccountLookup::passwd_line(std::string_view line) noexcept {
  const auto fields = found_user_ ? std::nullopt : fields_of<7>(line);
  if (!fields) {
    return;
  }
  const auto& [name, password, uid_text, gid_text, comment, home, shell] = *fields;
  const auto uid = number(uid_text);
  const auto gid = number(gid_text);
  const auto longest = std::max({name.size(), home.size(), shell.size()});
  if (!uid || !gid || longest > kMaxAccountTextBytes || (uid_ ? *uid != *uid_ : name != names_.user)) {
    return;
  }
  found_user_ = true;
  account_.uid = *uid;
  account_.gid = *gid;
  account_.name.assign(name);
  if (!home.empty()) {
    account_.home.assign(home);
  }
  if (!shell.empty()) {
    account_.shell.assign(shell);
  }
}

bool AccountLookup::end_passwd() noexcept {
  if (!found_user_) {
    if (names_.user == "root" || uid_ == 0U) {
      account_.name.assign("root");
      account_.home.assign("/root");
    } else if (uid_ && account_.name.assign(names_.user)) {
      account_.uid = *uid_;
    } else {
      return false;
    }
  }
  if (!names_.group) {
    account_.groups[account_.group_count++] = account_.gid;
  } else if (const auto gid = number(*names_.group)) {
    account_.gid = *gid;
    found_group_ = true;
  }
  return true;
}

// name:password:gid:member,member
void AccountLookup::group_line(std::string_view line) noexcept {
  const auto fields = found_group_ ? std::nullopt : fields_of<4>(line);
  const auto gid = fields ? number((*fields)[2]) : std::nullopt;
  if (!gid) {
    return;
  }
  if (names_.group) {
    if ((*fields)[0] == *names_.group) {
      account_.gid = *gid;
      found_group_ = true;
    }
    return;
  }
  const auto known = account_.groups.begin() + static_cast<std::ptrdiff_t>(account_.group_count);
  if (account_.group_count < kMaxGroups && is_in((*fields)[3], account_.name.view()) &&
      std::find(account_.groups.begin(), known, *gid) == known) {
    account_.groups[account_.group_count++] = *gid;
  }
}

bool AccountLookup::end_group() noexcept {
  if (names_.group) {
    account_.groups[0] = account_.gid;
    account_.group_count = 1;
  }
  return !names_.group || found_group_;
}

}  // namespace pyro::guest
