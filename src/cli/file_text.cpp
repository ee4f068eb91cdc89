#include "cli/file_text.hpp"

#include "cli/report.hpp"

#include <array>
#include <ctime>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

// "drwxr-xr-x".
std::string mode_text(const FileInfo& file) {
  constexpr std::array<char, 4> types{'?', '-', 'd', 'l'};
  constexpr std::string_view bits = "rwxrwxrwx";
  const auto type = static_cast<std::size_t>(file.type);
  std::string text(1, type < types.size() ? types[type] : '?');
  for (std::size_t i = 0; i < bits.size(); ++i) {
    text += (file.mode >> (bits.size() - 1 - i) & 1) != 0 ? bits[i] : '-';
  }
  return text;
}

std::string time_text(std::int64_t ns) {
  const std::time_t seconds = ns / 1'000'000'000;
  std::tm parts{};
  if (::localtime_r(&seconds, &parts) == nullptr) {
    return "-";
  }
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min);
}

// A name must not make a second line of its own.
std::string name_text(const std::string& name) {
  std::string text = printable(name);
  for (char& c : text) {
    c = c == '\n' || c == '\t' ? '?' : c;
  }
  return text;
}

}  // namespace

std::string file_lines(const std::vector<FileInfo>& files) {
  std::string text;
  for (const FileInfo& file : files) {
    text += fmt::format("{}{} {:>5} {:>5} {:>10} {} {}{}", text.empty() ? "" : "\n", mode_text(file), file.uid,
                        file.gid, file.size_bytes, time_text(file.mtime_ns), name_text(file.path),
                        file.target.empty() ? "" : " -> " + name_text(file.target));
  }
  return text;
}

std::string change_lines(const std::vector<FileInfo>& files) {
  constexpr std::array<char, 4> changes{'?', 'A', 'C', 'R'};
  std::string text;
  for (const FileInfo& file : files) {
    const auto change = static_cast<std::size_t>(file.change);
    text += fmt::format("{}{} {}", text.empty() ? "" : "\n", change < changes.size() ? changes[change] : '?',
                        name_text(file.path));
  }
  return text;
}

}  // namespace pyro::cli
