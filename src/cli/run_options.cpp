#include "cli/run_options.hpp"

#include "cli/option_values.hpp"
#include "cli/terminal.hpp"

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

constexpr const char* kRunExample =
    "Standard input is passed on unless it is a terminal (then -i or -t pass it). The exit code is the\n"
    "command's; 124: it ran into --timeout; 125: pyro itself failed; 128+N: signal N ended it.\n"
    "Examples:\n"
    "  pyro run debian:12 -- git --version\n"
    "  echo 'print(6 * 7)' | pyro run debian:12 -- python3 -\n"
    "  pyro run --timeout 5 debian:12 -c 'ls /usr/bin | wc -l'\n"
    "  pyro run -t debian:12 -- bash";

constexpr const char* kExecExample =
    "Standard input and the exit code are those of pyro run. When pyro is ended before the command is, or\n"
    "detached (-t: ctrl-p ctrl-q), the command goes on: pyro task attach leads back to it.\n"
    "Examples:\n"
    "  pyro task exec k7dq2mxw4zpa -- make test\n"
    "  pyro task exec -d --timeout none k7dq2mxw4zpa -- python3 serve.py\n"
    "  pyro task exec -it k7dq2mxw4zpa -- bash\n"
    "  pyro task exec -dt k7dq2mxw4zpa -- bash          # to be attached to";

void add_command_options(CLI::App* command, RunArguments& run, RunTexts& texts) {
  command->add_option("-c,--shell", texts.shell_line, "Run LINE with /bin/sh instead of CMD")->type_name("LINE");
  command->add_option("-e,--env", texts.variables, "NAME=VALUE, or NAME to copy it from here; may be repeated")
      ->type_name("VAR")
      ->type_size(1)
      ->allow_extra_args(false);
  command->add_option("-w,--cwd", run.options.cwd, "Working directory in the guest (/workspace)")->type_name("DIR");
  command->add_option("-u,--user", run.options.user, "User in the guest (root)")->type_name("USER");
  command->add_flag("-i,--interactive", run.interactive, "Pass standard input on even if it is a terminal");
  command->add_flag("-t,--tty", run.options.pty, "Give the command a terminal");
  command->add_flag("-n,--no-stdin", run.no_stdin, "Do not read standard input");
  command->add_option("--timeout", texts.timeout, "Time limit of the command (30; with -t none), or none")
      ->type_name("SECONDS");
  command->add_option("--output-limit", texts.output_limit, "Bytes of each stream that --json keeps (1M), or all")
      ->type_name("SIZE");
}

void understand_command(RunArguments& run, const RunTexts& texts, const CLI::App* command) {
  RunOptions& options = run.options;
  require_value(command, "--cwd", options.cwd);
  require_value(command, "--user", options.user);
  if (command->count("--timeout") != 0) {
    options.timeout_seconds = parse_seconds("--timeout", texts.timeout);
  }
  if (command->count("--output-limit") != 0) {
    options.output_limit_bytes = parse_bytes("--output-limit", texts.output_limit);
  }
  options.env = parse_variables(texts.variables);
  if (command->count("--timeout") == 0 && options.pty) {
    // A person at a terminal is not to be interrupted.
    options.timeout_seconds = kNoTimeout;
  }
}

void understand_terminal(RunArguments& run) {
  RunOptions& options = run.options;
  if (run.no_stdin && run.interactive) {
    throw Error(ErrorCode::invalid, "-i and -n contradict each other: leave one out");
  }
  if (options.pty && run.common.json) {
    throw Error(ErrorCode::invalid, "-t and --json contradict each other: leave one out");
  }
  run.keep_stdin = run.detach && run.interactive;
  options.stdin_stream = !run.no_stdin && !run.detach && (run.interactive || options.pty || !is_terminal(STDIN_FILENO));
  if (!options.pty) {
    return;
  }
  if (const auto size = terminal_size()) {
    options.pty_rows = size->rows;
    options.pty_columns = size->columns;
  }
  const char* term = std::getenv("TERM");
  options.env.emplace("TERM", term == nullptr || *term == '\0' ? "xterm" : term);
}

}  // namespace

void add_common(CLI::App* command, CommonOptions& common) {
  command->add_flag("--json", common.json, "Print one JSON object instead");
  command->add_flag("-q,--quiet", common.quiet, "No progress and no notes on stderr");
  command->add_flag("-v,--verbose", common.verbose, "Say on stderr what the library does");
}

void require_value(const CLI::App* command, const char* option, const std::string& text) {
  if (command->count(option) != 0 && text.empty()) {
    throw Error(ErrorCode::invalid, fmt::format("{}: the value is empty", option));
  }
}

void add_vm_options(CLI::App* command, RunTexts& texts, bool& network) {
  command->add_option("--boot-timeout", texts.boot_timeout, "Time limit of the VM's start (60)")->type_name("SECONDS");
  command->add_option("--max-lifetime", texts.max_lifetime, "Time limit of the VM in all (none)")->type_name("SECONDS");
  command->add_option("--vcpu-count,--cpus", texts.vcpu_count, "Virtual CPUs (1)")->type_name("N");
  command->add_option("--mem-mib,--memory", texts.mem_mib, "Memory in MiB, or 2G (1024)")->type_name("SIZE");
  command->add_option("--disk-mib,--disk", texts.disk_mib, "Scratch disk in MiB, or 10G (2048)")->type_name("SIZE");
  command->add_option("--engine", texts.engine, "auto, kvm or software (auto)")->type_name("NAME");
  command->add_flag("--network", network, "A network (not built yet)");
}

void understand_vm(const CLI::App* command, const RunTexts& texts, RunOptions& options) {
  const auto given = [command](const char* option) { return command->count(option) != 0; };
  if (given("--vcpu-count")) {
    options.vcpu_count = parse_count("--vcpu-count", texts.vcpu_count);
  }
  if (given("--mem-mib")) {
    options.mem_mib = parse_mib("--mem-mib", texts.mem_mib);
  }
  if (given("--disk-mib")) {
    options.disk_mib = parse_mib("--disk-mib", texts.disk_mib);
  }
  if (given("--boot-timeout")) {
    options.boot_timeout_seconds = parse_seconds("--boot-timeout", texts.boot_timeout);
  }
  if (given("--max-lifetime") && texts.max_lifetime != "none") {
    options.max_lifetime_seconds = parse_seconds("--max-lifetime", texts.max_lifetime);
  }
  if (given("--engine")) {
    options.engine = parse_engine(texts.engine);
  }
}

CLI::App* add_run(CLI::App& app, RunArguments& run, RunTexts& texts) {
  CLI::App* command = app.add_subcommand("run", "Run one command in a microVM of its own");
  command->add_option("ENV", run.options.environment, "Environment, such as debian:12; built on first use")->required();
  add_command_options(command, run, texts);
  add_vm_options(command, texts, run.options.network);
  add_common(command, run.common);
  command->footer(kRunExample);
  return command;
}

CLI::App* add_task_exec(CLI::App* task, RunArguments& exec, RunTexts& texts) {
  CLI::App* command = task->add_subcommand("exec", "Run a command in a task");
  exec.detach_keys = DetachKeys::standard();
  command->add_option("ID", exec.task_id, "Task to run it in")->required();
  command->add_flag("-d,--detach", exec.detach,
                    "Do not wait for it: print its number; with -i or -t its input stays open for pyro task attach");
  add_command_options(command, exec, texts);
  command->add_option("--detach-keys", texts.detach_keys, "With -t: keys that detach (ctrl-p,ctrl-q), or none")
      ->type_name("KEYS");
  add_common(command, exec.common);
  command->footer(kExecExample);
  return command;
}

CLI::App* add_vm_exec(CLI::App* vm, RunArguments& exec, RunTexts& texts) {
  CLI::App* command = vm->add_subcommand("exec", "Run one command in a VM, then remove the VM");
  command->add_option("ID", exec.task_id, "VM to run it in")->required();
  exec.is_vm = true;
  add_command_options(command, exec, texts);
  add_common(command, exec.common);
  command->footer(
      "Standard input and the exit code are those of pyro run.\nExample:\n  pyro vm exec k7dq2mxw4zpa -- make test");
  return command;
}

void understand_run(RunArguments& run, const RunTexts& texts, const CLI::App* command,
                    std::optional<std::vector<std::string>> argv) {
  if (run.task_id.empty()) {
    require_value(command, "ENV", run.options.environment);
    understand_vm(command, texts, run.options);
  }
  understand_command(run, texts, command);
  if (texts.shell_line && argv) {
    throw Error(ErrorCode::invalid, "-c and a command after -- contradict each other: leave one out");
  }
  if (texts.shell_line) {
    run.options.command = *texts.shell_line;
  } else if (argv && !argv->empty()) {
    run.options.command = std::move(*argv);
  } else {
    throw Error(ErrorCode::invalid, "no command: give one after --, as in: pyro run debian:12 -- git --version");
  }
  understand_terminal(run);
  if (const CLI::Option* keys = command->get_option_no_throw("--detach-keys"); keys != nullptr && keys->count() != 0) {
    run.detach_keys = DetachKeys::parse("--detach-keys", texts.detach_keys);
  }
}

}  // namespace pyro::cli
