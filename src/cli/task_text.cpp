#include "cli/task_text.hpp"

#include "cli/report.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

constexpr std::size_t kCommandColumns = 60;
constexpr std::int64_t kMinute = 60;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

// "42 s", "3 min", "5 h", "2 d".
std::string span_text(std::int64_t seconds) {
  if (seconds < 2 * kMinute) {
    return fmt::format("{} s", std::max<std::int64_t>(seconds, 0));
  }
  if (seconds < 2 * kHour) {
    return fmt::format("{} min", seconds / kMinute);
  }
  return seconds < 2 * kDay ? fmt::format("{} h", seconds / kHour) : fmt::format("{} d", seconds / kDay);
}

std::int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string time_text(std::chrono::sys_seconds when) {
  const std::time_t seconds = when.time_since_epoch().count();
  std::tm parts{};
  if (seconds == 0 || ::localtime_r(&seconds, &parts) == nullptr) {
    return "-";
  }
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string size_text(std::uint64_t bytes) {
  if (bytes < 10 * 1024) {
    return fmt::format("{} B", bytes);
  }
  const double mib = static_cast<double>(bytes) / (1024.0 * 1024.0);
  return mib < 10 ? fmt::format("{:.1f} MiB", mib) : fmt::format("{:.0f} MiB", mib);
}

std::string label_text(const std::map<std::string, std::string>& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, value);
  }
  return text;
}

// "make test", cut to fit.
std::string command_text(const CommandRecord& command) {
  std::vector<std::string> words = command.argv;
  if (words.size() == 3 && words[0] == "/bin/sh" && words[1] == "-c") {
    words.erase(words.begin(), words.begin() + 2);
  }
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
    if (text.size() > kCommandColumns) {
      break;
    }
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::replace(text.begin(), text.end(), '\t', ' ');
  const bool cut = text.size() > kCommandColumns || command.argv_truncated;
  return printable(text.substr(0, kCommandColumns)) + (cut ? "..." : "");
}

std::string end_text(const CommandRecord& command) {
  if (command.running) {
    return "-";
  }
  return command.message.empty() || command.exit_code != 0 ? std::to_string(command.exit_code) : "?";
}

std::string remark_text(const CommandRecord& command) {
  if (command.timed_out) {
    return "timed out";
  }
  return command.oom_killed ? "out of memory" : printable(command.message);
}

// Rows of cells, each column as wide as its widest cell.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], row[column].size());
    }
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t column = 0; column < row.size(); ++column) {
      line += fmt::format("{:<{}}  ", row[column], widths[column]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += (text.empty() ? "" : "\n") + line;
  }
  return text;
}

}  // namespace

std::string status_screen(const TaskInfo& task) {
  const std::int64_t now = now_seconds();
  std::string text;
  const auto line = [&text](std::string_view name, const std::string& value) {
    if (!value.empty()) {
      text += fmt::format("{}{:<13}{}", text.empty() ? "" : "\n", name, value);
    }
  };
  const bool runs = task.state == TaskState::running;
  line("task", task.id);
  line("state", std::string(to_string(task.state)) + (task.reason.empty() ? "" : ": " + printable(task.reason)));
  line("environment", task.environment);
  line("engine", task.engine == Engine::automatic ? "" : std::string(to_string(task.engine)));
  line("labels", label_text(task.labels));
  line("size", fmt::format("{} CPU, {} MiB memory, {} MiB disk", task.vcpu_count, task.mem_mib, task.disk_mib));
  line("disk used", size_text(task.disk_used_bytes));
  line("memory", task.host_memory_bytes == 0 ? "" : size_text(task.host_memory_bytes) + " of the host's");
  line("created", time_text(task.created_at));
  line("started", time_text(task.started_at));
  if (runs) {
    line("up", fmt::format("{}, {:.1f} s of CPU", span_text(static_cast<std::int64_t>(task.uptime_ms / 1000)),
                           static_cast<double>(task.cpu_time_ms) / 1000.0));
  }
  line("commands", runs ? fmt::format("{}, {} running", task.command_count, task.running_commands)
                        : std::to_string(task.command_count));
  const std::int64_t expires = task.expires_at.time_since_epoch().count();
  if (expires != 0) {
    line(runs ? "stopped in" : "deleted in", span_text(expires - now) + (runs ? " if nobody uses it" : ""));
  }
  return text;
}

std::string task_table(const std::vector<TaskInfo>& tasks) {
  const std::int64_t now = now_seconds();
  std::vector<std::vector<std::string>> rows{{"ID", "STATE", "AGE", "ENVIRONMENT", "COMMANDS", "DISK", "LABELS"}};
  for (const TaskInfo& task : tasks) {
    rows.push_back({task.id, std::string(to_string(task.state)),
                    span_text(now - task.created_at.time_since_epoch().count()), task.environment,
                    std::to_string(task.command_count), size_text(task.disk_used_bytes), label_text(task.labels)});
  }
  return table(rows);
}

std::string top_table(const std::vector<TopRow>& rows) {
  std::vector<std::vector<std::string>> cells{
      {"ID", "KIND", "STATE", "UP", "CPU%", "MEMORY", "DISK", "COMMANDS", "ENVIRONMENT", "LABELS"}};
  for (const TopRow& row : rows) {
    cells.push_back({row.vm.id, row.is_task ? "task" : "vm", std::string(to_string(row.vm.state)),
                     span_text(row.uptime_seconds), row.cpu_percent < 0 ? "-" : fmt::format("{:.1f}", row.cpu_percent),
                     size_text(row.vm.host_memory_bytes), size_text(row.vm.disk_used_bytes),
                     std::to_string(row.vm.command_count), row.vm.environment, label_text(row.vm.labels)});
  }
  return table(cells);
}

std::string command_table(const std::vector<CommandRecord>& commands) {
  std::vector<std::vector<std::string>> rows{{"NUMBER", "STARTED", "TIME", "EXIT", "OUTPUT", "COMMAND", ""}};
  for (const CommandRecord& command : commands) {
    rows.push_back(
        {std::to_string(command.number),
         time_text(std::chrono::time_point_cast<std::chrono::seconds>(command.started_at)),
         command.running ? "running" : fmt::format("{:.1f} s", static_cast<double>(command.duration_ms) / 1000.0),
         end_text(command), size_text(command.stdout_total_bytes + command.stderr_total_bytes), command_text(command),
         remark_text(command)});
  }
  return table(rows);
}

}  // namespace pyro::cli
