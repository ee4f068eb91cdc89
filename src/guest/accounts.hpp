// Who a command runs as: the guest's passwd and group files, read without NSS (the agent is static, and a library of the
// guest's must not decide for it).
// Pure code: no I/O, and no memory but its own, since a child works it out beside the agent (processes.hpp, spawn_into).
// Thread rule: an object belongs to one thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pyro::guest {

/// A text of bounded length, with a NUL behind it.
template <std::size_t MaxBytes>
class FixedText {
 public:
  /// False, and nothing is done, if there is no room.
  bool append(std::string_view text) noexcept {
    if (text.size() > MaxBytes - size_) {
      return false;
    }
    std::copy(text.begin(), text.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += text.size();
    bytes_[size_] = '\0';
    return true;
  }
  void clear() noexcept {
    size_ = 0;
    bytes_[0] = '\0';
  }
  bool assign(std::string_view text) noexcept {
    clear();
    return append(text);
  }
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }
  [[nodiscard]] char* data() noexcept { return bytes_.data(); }

 private:
  std::array<char, MaxBytes + 1> bytes_;
  std::size_t size_ = 0;
};

/// A line with a longer name, home or shell is passed over.
inline constexpr std::size_t kMaxAccountTextBytes = 1024;
/// Supplementary groups; who is in more has the first of them.
inline constexpr std::size_t kMaxGroups = 1024;

struct Account {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  /// Supplementary groups, `gid` first.
  std::array<std::uint32_t, kMaxGroups> groups;
  std::size_t group_count = 0;
  /// The account's name, or its number where it has none.
  FixedText<kMaxAccountTextBytes> name;
  FixedText<kMaxAccountTextBytes> home;
  FixedText<kMaxAccountTextBytes> shell;
};

/// The two parts of "user:group"; no group: nullopt. An empty user is root.
struct AccountNames {
  std::string_view user;
  std::optional<std::string_view> group;
};
AccountNames account_names(std::string_view text) noexcept;

/// Finds what `user` names: "name", "uid", "name:group" or "uid:gid", each part by name or number. A number needs no entry
/// in the passwd file and gets group 0 then, as container engines do; root needs none either. Supplementary groups come
/// from the group file, unless the request names its group. Lines that are not well-formed are passed over.
/// Give it all lines of passwd, end_passwd(), all lines of group, end_group().
class AccountLookup {
 public:
  /// `user` and `account` outlive this.
  AccountLookup(std::string_view user, Account& account) noexcept;

  void passwd_line(std::string_view line) noexcept;
  /// False: the user has no entry.
  [[nodiscard]] bool end_passwd() noexcept;
  void group_line(std::string_view line) noexcept;
  /// False: the group has no entry.
  [[nodiscard]] bool end_group() noexcept;

 private:
  AccountNames names_;
  std::optional<std::uint32_t> uid_;
  Account& account_;
  bool found_user_ = false;
  bool found_group_ = false;
};

}  // namespace pyro::guest
