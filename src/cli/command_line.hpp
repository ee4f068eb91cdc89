// The command line: what was asked for, as values. Does no work and touches no file.
#pragma once

#include "cli/detach_keys.hpp"
#include "cli/report.hpp"

#include <pyro/pyro.hpp>

#include <string>
#include <variant>

namespace pyro::cli {

/// pyro run, pyro task exec, pyro task attach, pyro vm exec
struct RunArguments {
  CommonOptions common;
  RunOptions options;
  /// Of a task to run it in: then what `options` says of a VM does not count. Else empty.
  std::string task_id;
  /// task_id is that of a VM, which goes with its command.
  bool is_vm = false;
  /// Do not wait for a task's command.
  bool detach = false;
  /// Read standard input even if it is a terminal.
  bool interactive = false;
  /// Never read standard input.
  bool no_stdin = false;
  /// Detached: its input stays open for who attaches.
  bool keep_stdin = false;
  /// pyro task attach: of the command. Else 0.
  std::uint64_t attach_number = 0;
  /// pyro task attach: how much of what it printed before; 0: the default.
  std::uint64_t tail_bytes = 0;
  /// In a task, at a terminal.
  DetachKeys detach_keys = {};
};

enum class TaskAction { create, status, list, logs, stop, start, ttl, remove, reap };

/// pyro task ... and pyro vm ..., except exec
struct TaskArguments {
  CommonOptions common;
  bool is_vm = false;
  TaskAction action = TaskAction::list;
  TaskOptions options;
  std::string id;
  TaskFilter filter;
  LogsOptions logs;
  bool follow = false;
  Seconds ttl;
};

enum class FileAction { copy, list, cat, stat, make_dir, remove, write, diff, export_workspace };

/// pyro task cp, ls, cat, ...
struct FileArguments {
  CommonOptions common;
  FileAction action = FileAction::list;
  std::string id;
  std::string path;
  /// cp: where from and where to, as they were given; export: only the latter.
  std::string from;
  std::string to;
  FileOptions options;
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

/// pyro top
struct TopArguments {
  CommonOptions common;
  Seconds interval{2};
  /// The interval was asked for: go on after the first look, whatever stdout is.
  bool repeats = false;
  bool once = false;
};

/// pyro registry rebuild
struct RegistryArguments {
  CommonOptions common;
};

/// Nothing more to do: help or the version was asked for, or the command line is wrong.
struct Answer {
  int exit_code = 0;
  std::string text;
};

using CommandLine = std::variant<Answer, RunArguments, TaskArguments, FileArguments, EnvArguments, DoctorArguments,
                                 TopArguments, RegistryArguments>;

CommandLine parse_command_line(int argc, char** argv);

}  // namespace pyro::cli
