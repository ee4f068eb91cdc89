// The command line: what was asked for, as values. Does no work and touches no file.
#pragma once

#include "cli/report.hpp"

#include <pyro/pyro.hpp>

#include <string>
#include <variant>

namespace pyro::cli {

/// pyro run
struct RunArguments {
  CommonOptions common;
  RunOptions options;
  /// Read standard input even if it is a terminal.
  bool interactive = false;
  /// Never read standard input.
  bool no_stdin = false;
};

enum class EnvAction { list, build, inspect, import_environment, export_environment, prune, pull };

/// pyro env ...
struct EnvArguments {
  CommonOptions common;
  EnvAction action = EnvAction::list;
  std::string name;
  std::string path;
  bool verify = false;
  bool force = false;
  bool all = false;
};

/// pyro doctor
struct DoctorArguments {
  CommonOptions common;
};

/// Nothing more to do: help or the version was asked for, or the command line is wrong.
struct Answer {
  int exit_code = 0;
  std::string text;
};

using CommandLine = std::variant<Answer, RunArguments, EnvArguments, DoctorArguments>;

CommandLine parse_command_line(int argc, char** argv);

}  // namespace pyro::cli
