// The command lines of `pyro task cp`, `ls`, `cat` and what else is about files of a task.
#pragma once

#include "cli/run_options.hpp"

namespace pyro::cli {

/// What options hold before they are understood.
struct FileTexts {
  bool is_given = false;
  std::string mode;
  std::string max_bytes;
  std::string timeout;
};

void add_files(CLI::App* task, FileArguments& arguments, FileTexts& texts);
/// Values of options, after the parser. Throws Error invalid.
void understand_files(FileArguments& arguments, const FileTexts& texts, const CLI::App* command);

}  // namespace pyro::cli
