#include "image/id_map.hpp"

#include "base/io.hpp"
#include "image/command.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <vector>

#include <pwd.h>
#include <unistd.h>

namespace pyro::image {

namespace {

constexpr std::size_t kMaxSubidBytes = 4u << 20;
/// SUB_UID_MIN of login.defs(5).
constexpr std::uint64_t kFirstSubordinateId = 100'000;

struct SubidLine {
  std::string owner;
  IdRange range;
};

/// The lines of /etc/subuid that make sense.
std::vector<SubidLine> parse_subids(std::string_view text) {
  std::vector<SubidLine> lines;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    const auto first_colon = line.find(':');
    const auto second_colon = line.find(':', first_colon + 1);
    if (first_colon == std::string::npos || second_colon == std::string::npos) {
      continue;
    }
    SubidLine parsed;
    parsed.owner = line.substr(0, first_colon);
    const char* end = line.data() + line.size();
    const auto first = std::from_chars(line.data() + first_colon + 1, end, parsed.range.first);
    const auto count = std::from_chars(line.data() + second_colon + 1, end, parsed.range.count);
    if (first.ec == std::errc() && count.ec == std::errc()) {
      lines.push_back(std::move(parsed));
    }
  }
  return lines;
}

std::string user_name() {
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr ? entry->pw_name : std::to_string(::getuid());
}

base::Result<IdRange> read_range(const std::string& path) {
  const auto text = base::read_file(path, kMaxSubidBytes);
  const IdRange range = text.ok() ? find_subordinate_range(text.value(), user_name(), ::getuid()) : IdRange{};
  if (range.count != 0) {
    return range;
  }
  std::uint64_t first = kFirstSubordinateId;
  for (const char* file : {"/etc/subuid", "/etc/subgid"}) {
    if (const auto taken = base::read_file(file, kMaxSubidBytes); taken.ok()) {
      first = std::max(first, next_free_id(taken.value()));
    }
  }
  return base::make_error(PYRO_ERROR_UNSUPPORTED,
                          "building an environment without root needs {} subordinate ids, and {} has none for user "
                          "'{}': run as root: usermod --add-subuids {}-{} --add-subgids {}-{} {}",
                          kMappedIds, path, user_name(), first, first + kMappedIds, first, first + kMappedIds,
                          user_name());
}

base::Status run_mapper(const char* program, pid_t pid, std::uint32_t own_id, const IdRange& range) {
  Command command;
  command.argv = {program,
                  std::to_string(pid),
                  "0",
                  std::to_string(own_id),
                  "1",
                  "1",
                  std::to_string(range.first),
                  std::to_string(std::min(range.count, kMappedIds))};
  auto mapped = run_tool(command);
  if (!mapped.ok()) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "cannot map user ids for the build: {} (is {} installed setuid or with capabilities?)",
                            mapped.error().message, program);
  }
  return base::success();
}

}  // namespace

IdRange find_subordinate_range(std::string_view text, std::string_view user, uid_t uid) {
  for (const SubidLine& line : parse_subids(text)) {
    if ((line.owner == user || line.owner == std::to_string(uid)) && line.range.count >= kMappedIds - 1) {
      return line.range;
    }
  }
  return {};
}

std::uint64_t next_free_id(std::string_view text) {
  std::uint64_t next = kFirstSubordinateId;
  for (const SubidLine& line : parse_subids(text)) {
    next = std::max(next, std::uint64_t{line.range.first} + line.range.count);
  }
  return next;
}

base::Status check_id_mapping() {
  PYRO_TRY(require_tool("newuidmap", "uidmap"));
  PYRO_TRY(require_tool("newgidmap", "uidmap"));
  PYRO_TRY(read_range("/etc/subuid"));
  PYRO_TRY(read_range("/etc/subgid"));
  return base::success();
}

base::Status map_ids(pid_t pid) {
  PYRO_TRY_ASSIGN(const IdRange uids, read_range("/etc/subuid"));
  PYRO_TRY_ASSIGN(const IdRange gids, read_range("/etc/subgid"));
  PYRO_TRY(run_mapper("newuidmap", pid, ::getuid(), uids));
  return run_mapper("newgidmap", pid, ::getgid(), gids);
}

}  // namespace pyro::image
