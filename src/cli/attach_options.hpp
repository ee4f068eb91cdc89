// The command line of `pyro task attach`.
#pragma once

#include "cli/run_options.hpp"

namespace pyro::cli {

/// What its options hold before they are understood.
struct AttachTexts {
  std::string tail;
  std::string detach_keys;
};

CLI::App* add_task_attach(CLI::App* task, RunArguments& attach, AttachTexts& texts);
/// After the parser: values of options, and the terminal. Throws Error invalid.
void understand_attach(RunArguments& attach, const AttachTexts& texts, const CLI::App* command);

}  // namespace pyro::cli
