// Tasks and their commands as people read them.
#pragma once

#include <pyro/pyro.hpp>

#include <string>
#include <vector>

namespace pyro::cli {

/// One screen about one task.
std::string status_screen(const TaskInfo& task);
/// One VM in `pyro top`.
struct TopRow {
  TaskInfo vm;
  bool is_task = true;
  /// Of one CPU of the host, since the last look; less than 0: not known.
  double cpu_percent = -1;
  std::int64_t uptime_seconds = 0;
};
std::string top_table(const std::vector<TopRow>& rows);
/// A line each.
std::string task_table(const std::vector<TaskInfo>& tasks);
std::string command_table(const std::vector<CommandRecord>& commands);

}  // namespace pyro::cli
