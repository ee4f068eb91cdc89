// The options of what runs a command: `pyro run` and `pyro task exec`.
#pragma once

#include "cli/command_line.hpp"

#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>

namespace pyro::cli {

/// What options hold before they are understood.
struct RunTexts {
  std::vector<std::string> variables;
  std::optional<std::string> shell_line;
  std::string vcpu_count;
  std::string mem_mib;
  std::string disk_mib;
  std::string timeout;
  std::string boot_timeout;
  std::string max_lifetime;
  std::string output_limit;
  std::string detach_keys;
  std::string engine;
  // Of tasks.
  std::vector<std::string> labels;
  std::vector<std::string> states;
  std::string ttl;
  std::string retention;
};

/// What every command takes.
void add_common(CLI::App* command, CommonOptions& common);
/// Options of a VM, before and after they are understood. `Options`: RunOptions, TaskOptions.
void add_vm_options(CLI::App* command, RunTexts& texts, bool& network);
void understand_vm(const CLI::App* command, const RunTexts& texts, RunOptions& options);
/// An option that is given must not be empty.
void require_value(const CLI::App* command, const char* option, const std::string& text);

CLI::App* add_run(CLI::App& app, RunArguments& run, RunTexts& texts);
CLI::App* add_task_exec(CLI::App* task, RunArguments& exec, RunTexts& texts);
CLI::App* add_vm_exec(CLI::App* vm, RunArguments& exec, RunTexts& texts);
/// After the parser: values of options, terminal, and the command (what stood behind "--", if anything did).
/// Throws Error invalid.
void understand_run(RunArguments& run, const RunTexts& texts, const CLI::App* command,
                    std::optional<std::vector<std::string>> argv);

}  // namespace pyro::cli
