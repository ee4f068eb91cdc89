#include "client/process_usage.hpp"

#include "base/io.hpp"

#include <array>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include <unistd.h>

namespace pyro::client {

namespace {

constexpr std::size_t kMaxFileBytes = 16 * 1024;
// A VM has one child; this is for one whose supervisor a guest owns.
constexpr int kMaxChildren = 16;
constexpr std::uint64_t kMillisecond = 1000;

struct Stat {
  std::int64_t parent = 0;
  std::int64_t start = 0;
  std::uint64_t cpu_ticks = 0;
};

// proc(5), stat. All in one read, so that it is of one process.
std::optional<Stat> read_stat(std::int64_t pid) {
  const auto text = base::read_file(fmt::format("/proc/{}/stat", pid), kMaxFileBytes);
  if (!text.ok()) {
    return std::nullopt;
  }
  // The name, in parentheses, may hold anything; it is field 2, and the state behind it has no number.
  const std::size_t name_end = text->rfind(')');
  if (name_end == std::string::npos || name_end + 4 > text->size()) {
    return std::nullopt;
  }
  constexpr std::size_t kFirstField = 4;
  std::array<std::int64_t, 19> fields{};  // 4 to 22
  const char* at = text->c_str() + name_end + 4;
  for (std::int64_t& field : fields) {
    char* end = nullptr;
    field = std::strtoll(at, &end, 10);
    if (end == at) {
      return std::nullopt;
    }
    at = end;
  }
  Stat stat;
  stat.parent = fields[4 - kFirstField];
  stat.cpu_ticks = static_cast<std::uint64_t>(fields[14 - kFirstField] + fields[15 - kFirstField]);
  stat.start = fields[22 - kFirstField];
  return stat;
}

std::uint64_t resident_bytes(std::int64_t pid) {
  const auto text = base::read_file(fmt::format("/proc/{}/status", pid), kMaxFileBytes);
  if (!text.ok()) {
    return 0;
  }
  std::uint64_t kib = 0;
  for (const std::string_view name : {std::string_view("\nRssAnon:"), std::string_view("\nRssShmem:")}) {
    if (const auto found = text->find(name); found != std::string::npos) {
      kib += std::strtoull(text->c_str() + found + name.size(), nullptr, 10);
    }
  }
  return kib * 1024;
}

void add(ProcessUsage& usage, std::int64_t pid, const Stat& stat) {
  static const auto ticks_per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  usage.cpu_time_ms += stat.cpu_ticks * kMillisecond / ticks_per_second;
  usage.memory_bytes += resident_bytes(pid);
}

}  // namespace

ProcessUsage usage_of(std::int64_t pid, std::int64_t start) {
  ProcessUsage usage;
  const auto stat = pid > 0 ? read_stat(pid) : std::nullopt;
  if (!stat || start == 0 || stat->start != start) {
    return usage;
  }
  add(usage, pid, *stat);
  // Its main thread starts them.
  const auto children = base::read_file(fmt::format("/proc/{0}/task/{0}/children", pid), kMaxFileBytes);
  const char* at = children.ok() ? children->c_str() : "";
  for (int count = 0; count < kMaxChildren; ++count) {
    char* end = nullptr;
    const std::int64_t child = std::strtoll(at, &end, 10);
    if (end == at) {
      break;
    }
    at = end;
    if (const auto child_stat = read_stat(child); child_stat && child_stat->parent == pid) {
      add(usage, child, *child_stat);
    }
  }
  return usage;
}

}  // namespace pyro::client
