// Who a command runs as: the guest's passwd and group files, read without NSS (the agent is static,
// and a library of the guest's must not decide for it).
// Pure code: no I/O. Thread rule: functions without state.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pyro::guest {

struct Account {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  /// Supplementary groups, `gid` among them.
  std::vector<std::uint32_t> groups;
  /// The account's name, or its number where it has none.
  std::string name;
  std::string home = "/";
  std::string shell = "/bin/sh";
};

/// What `user` names: "name", "uid", "name:group" or "uid:gid", each part by name or number; empty is root.
/// A number needs no entry in `passwd` and gets group 0 then, as container engines do; root needs none either.
/// Supplementary groups come from `group`, unless the request names its group. Lines that are not
/// well-formed are passed over. PYRO_ERROR_NOT_FOUND if a name has no entry.
base::Result<Account> resolve_account(std::string_view user, std::string_view passwd, std::string_view group);

}  // namespace pyro::guest
