// The command lines of `pyro task` and `pyro vm`, except exec (run_options.hpp).
#pragma once

#include "cli/run_options.hpp"

namespace pyro::cli {

CLI::App* add_task(CLI::App& app, TaskArguments& arguments, RunTexts& texts);
CLI::App* add_vm(CLI::App& app, TaskArguments& arguments, RunTexts& texts);
/// Values of options, after the parser. `command`: the one below `task` or `vm`. Throws Error invalid.
void understand_task(TaskArguments& arguments, const RunTexts& texts, const CLI::App* command);

}  // namespace pyro::cli
