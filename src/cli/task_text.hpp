// Tasks and their commands as people read them.
#pragma once

#include <pyro/pyro.hpp>

#include <string>
#include <vector>

namespace pyro::cli {

/// One screen about one task.
std::string status_screen(const TaskInfo& task);
/// A line each.
std::string task_table(const std::vector<TaskInfo>& tasks);
std::string command_table(const std::vector<CommandRecord>& commands);

}  // namespace pyro::cli
