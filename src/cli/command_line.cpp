#include "cli/command_line.hpp"

#include "cli/option_values.hpp"
#include "cli/terminal.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

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

// What the options of `run` hold before they are understood.
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
  std::string engine;
};

// "pyro env build" of a command three levels down.
std::string full_name(const CLI::App* app) {
  return app->get_parent() == nullptr ? app->get_name() : full_name(app->get_parent()) + ' ' + app->get_name();
}

class UsageFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string /*name*/) const override {
    if (app->get_name() == "run") {
      // The parser does not know of the command behind "--".
      return "Usage: pyro run [OPTIONS] ENV -- CMD [ARG...]\n       pyro run [OPTIONS] ENV -c LINE\n";
    }
    return Formatter::make_usage(app, full_name(app));
  }
};

void add_common(CLI::App* command, CommonOptions& common) {
  command->add_flag("--json", common.json, "Print one JSON object instead");
  command->add_flag("-q,--quiet", common.quiet, "No progress and no notes on stderr");
  command->add_flag("-v,--verbose", common.verbose, "Say on stderr what the library does");
}

CLI::App* add_run(CLI::App& app, RunArguments& run, RunTexts& texts) {
  CLI::App* command = app.add_subcommand("run", "Run one command in a microVM of its own");
  command->add_option("ENV", run.options.environment, "Environment, such as debian:12; built on first use")->required();
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
  command->add_option("--timeout", texts.timeout, "Time limit of the command (30), or none")->type_name("SECONDS");
  command->add_option("--boot-timeout", texts.boot_timeout, "Time limit of the VM's start (60)")->type_name("SECONDS");
  command->add_option("--max-lifetime", texts.max_lifetime, "Time limit of the VM in all (none)")->type_name("SECONDS");
  command->add_option("--vcpu-count,--cpus", texts.vcpu_count, "Virtual CPUs (1)")->type_name("N");
  command->add_option("--mem-mib,--memory", texts.mem_mib, "Memory in MiB, or 2G (1024)")->type_name("SIZE");
  command->add_option("--disk-mib,--disk", texts.disk_mib, "Scratch disk in MiB, or 10G (2048)")->type_name("SIZE");
  command->add_option("--output-limit", texts.output_limit, "Bytes of each stream that --json keeps (1M), or all")
      ->type_name("SIZE");
  command->add_option("--engine", texts.engine, "auto, kvm or software (auto)")->type_name("NAME");
  command->add_flag("--network", run.options.network, "A network (not built yet)");
  add_common(command, run.common);
  command->footer(kRunExample);
  return command;
}

CLI::App* add_env_action(CLI::App* env, EnvArguments& arguments, EnvAction action, const char* name, const char* help,
                         const char* example) {
  CLI::App* command = env->add_subcommand(name, help);
  add_common(command, arguments.common);
  command->footer(std::string("Example:\n  ") + example);
  command->parse_complete_callback([&arguments, action] { arguments.action = action; });
  return command;
}

CLI::App* add_env(CLI::App& app, EnvArguments& arguments) {
  CLI::App* env = app.add_subcommand("env", "Environments: what commands run in");
  env->require_subcommand(1);
  env->footer("Example:\n  pyro env list");
  const auto name = [&arguments](CLI::App* command, const char* help) {
    return command->add_option("NAME", arguments.name, help);
  };
  add_env_action(env, arguments, EnvAction::list, "list", "List them, with those that can be built", "pyro env list");

  CLI::App* build = add_env_action(env, arguments, EnvAction::build, "build", "Build one of the catalogue",
                                   "pyro env build debian:12");
  name(build, "Environment to build")->required();
  build->add_flag("--force", arguments.force, "Build again even if it is there");

  CLI::App* inspect = add_env_action(env, arguments, EnvAction::inspect, "inspect", "Show one with its manifest",
                                     "pyro env inspect --verify debian:12");
  name(inspect, "Environment to show")->required();
  inspect->add_flag("--verify", arguments.verify, "Read every file and compare its digest");

  CLI::App* importer = add_env_action(env, arguments, EnvAction::import_environment, "import",
                                      "Register an own root filesystem", "pyro env import my-tools ./rootfs.tar");
  name(importer, "Name for it")->required();
  importer->add_option("PATH", arguments.path, "Directory, tarball, or bundle of pyro env export")->required();

  CLI::App* exporter = add_env_action(env, arguments, EnvAction::export_environment, "export",
                                      "Write one to a single file", "pyro env export debian:12 ./debian-12.pyro");
  name(exporter, "Environment to write")->required();
  exporter->add_option("PATH", arguments.path, "File to write; must not exist")->required();

  CLI::App* prune = add_env_action(env, arguments, EnvAction::prune, "prune", "Remove what nothing needs",
                                   "pyro env prune --all debian:12");
  name(prune, "Only this environment");
  prune->add_flag("--all", arguments.all, "Also the environments themselves");

  CLI::App* pull = add_env_action(env, arguments, EnvAction::pull, "pull", "Fetch one from a registry (not built yet)",
                                  "pyro env pull my-tools");
  name(pull, "Environment to fetch")->required();
  return env;
}

CLI::App* add_doctor(CLI::App& app, DoctorArguments& arguments) {
  CLI::App* command = app.add_subcommand("doctor", "Check what this host can do");
  add_common(command, arguments.common);
  command->footer("Exits with 0 if nothing is broken, else with 1.\nExample:\n  pyro doctor --json");
  return command;
}

void require_value(const CLI::App* command, const char* option, const std::string& text) {
  if (command->count(option) != 0 && text.empty()) {
    throw Error(ErrorCode::invalid, fmt::format("{}: the value is empty", option));
  }
}

void understand(RunArguments& run, const RunTexts& texts, const CLI::App* command) {
  RunOptions& options = run.options;
  const auto given = [command](const char* option) { return command->count(option) != 0; };
  require_value(command, "ENV", options.environment);
  require_value(command, "--cwd", options.cwd);
  require_value(command, "--user", options.user);
  if (given("--vcpu-count")) {
    options.vcpu_count = parse_count("--vcpu-count", texts.vcpu_count);
  }
  if (given("--mem-mib")) {
    options.mem_mib = parse_mib("--mem-mib", texts.mem_mib);
  }
  if (given("--disk-mib")) {
    options.disk_mib = parse_mib("--disk-mib", texts.disk_mib);
  }
  if (given("--timeout")) {
    options.timeout_seconds = parse_seconds("--timeout", texts.timeout);
  }
  if (given("--boot-timeout")) {
    options.boot_timeout_seconds = parse_seconds("--boot-timeout", texts.boot_timeout);
  }
  if (given("--max-lifetime") && texts.max_lifetime != "none") {
    options.max_lifetime_seconds = parse_seconds("--max-lifetime", texts.max_lifetime);
  }
  if (given("--output-limit")) {
    options.output_limit_bytes = parse_bytes("--output-limit", texts.output_limit);
  }
  if (given("--engine")) {
    options.engine = parse_engine(texts.engine);
  }
  options.env = parse_variables(texts.variables);
}

void understand_terminal(RunArguments& run) {
  RunOptions& options = run.options;
  if (run.no_stdin && run.interactive) {
    throw Error(ErrorCode::invalid, "-i and -n contradict each other: leave one out");
  }
  if (options.pty && run.common.json) {
    throw Error(ErrorCode::invalid, "-t and --json contradict each other: leave one out");
  }
  options.stdin_stream = !run.no_stdin && (run.interactive || options.pty || !is_terminal(STDIN_FILENO));
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

// Everything behind the first "--" of `run` is the command, byte for byte: the parser never sees it.
struct SplitArguments {
  std::vector<std::string> options;  // last first, as the parser wants them
  std::optional<std::vector<std::string>> command;
};

SplitArguments split(int argc, char** argv) {
  SplitArguments result;
  const std::vector<std::string> all(argv + std::min(argc, 1), argv + argc);
  auto end = all.end();
  if (!all.empty() && all.front() == "run") {
    end = std::find(all.begin(), all.end(), "--");
    if (end != all.end()) {
      result.command.emplace(end + 1, all.end());
    }
  }
  result.options.assign(std::make_reverse_iterator(end), all.rend());
  return result;
}

void take_command(RunArguments& run, const RunTexts& texts, SplitArguments& arguments) {
  if (texts.shell_line && arguments.command) {
    throw Error(ErrorCode::invalid, "-c and a command after -- contradict each other: leave one out");
  }
  if (texts.shell_line) {
    run.options.command = *texts.shell_line;
  } else if (arguments.command && !arguments.command->empty()) {
    run.options.command = std::move(*arguments.command);
  } else {
    throw Error(ErrorCode::invalid, "no command: give one after --, as in: pyro run debian:12 -- git --version");
  }
}

// The innermost command that was named.
const CLI::App* innermost(const CLI::App* app) {
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
  }
  return app;
}

Answer wrong(const CLI::App& app, std::string_view message) {
  return {kExitFailed, fmt::format("pyro: {}\npyro: see {} --help\n", message, full_name(innermost(&app)))};
}

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
  RunArguments run;
  RunTexts texts;
  EnvArguments env_arguments;
  DoctorArguments doctor_arguments;

  CLI::App app("Run commands that nobody has read in microVMs.", "pyro");
  app.set_version_flag("--version", fmt::format("pyro {}", version()));
  app.require_subcommand(0, 1);
  app.footer("Example:\n  pyro run debian:12 -- git --version");
  const auto formatter = std::make_shared<UsageFormatter>();
  formatter->column_width(34);
  app.formatter(formatter);
  CLI::App* run_command = add_run(app, run, texts);
  CLI::App* env_command = add_env(app, env_arguments);
  add_doctor(app, doctor_arguments);

  SplitArguments arguments = split(argc, argv);
  try {
    app.parse(arguments.options);
    if (app.got_subcommand(run_command)) {
      understand(run, texts, run_command);
      take_command(run, texts, arguments);
      understand_terminal(run);
      return run;
    }
  } catch (const CLI::CallForHelp&) {
    return Answer{0, innermost(&app)->help()};
  } catch (const CLI::CallForVersion&) {
    return Answer{0, fmt::format("pyro {}\n", version())};
  } catch (const CLI::ExtrasError&) {
    if (app.got_subcommand(run_command) && !arguments.command) {
      return wrong(app, "the command goes after --, as in: pyro run debian:12 -- git --version");
    }
    const auto extras = app.remaining(true);
    const std::string first = extras.empty() ? "" : extras.front();
    return wrong(app, app.get_subcommands().empty() ? fmt::format("there is no command or option \"{}\"", first)
                                                    : fmt::format("\"{}\" was not expected", first));
  } catch (const CLI::ParseError& error) {
    return wrong(app, error.what());
  } catch (const Error& error) {
    return wrong(app, error.what());
  }
  if (app.got_subcommand(env_command)) {
    return env_arguments;
  }
  if (app.get_subcommands().empty()) {
    return Answer{kExitFailed, app.help()};
  }
  return doctor_arguments;
}

}  // namespace pyro::cli
