#include "cli/command_line.hpp"

#include "cli/attach_options.hpp"
#include "cli/file_options.hpp"
#include "cli/option_values.hpp"
#include "cli/run_options.hpp"
#include "cli/task_options.hpp"

#include <algorithm>
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
    if (app->get_name() == "exec") {
      const std::string name = full_name(app);
      return fmt::format("Usage: {0} [OPTIONS] ID -- CMD [ARG...]\n       {0} [OPTIONS] ID -c LINE\n", name);
    }
    return Formatter::make_usage(app, full_name(app));
  }
};

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

CLI::App* add_top(CLI::App& app, TopArguments& arguments, std::string& interval) {
  CLI::App* command = app.add_subcommand("top", "Running VMs, live: CPU, memory, disk, uptime");
  command->add_option("--interval", interval, "Time between two looks (2)")->type_name("SECONDS");
  command->add_flag("--once", arguments.once, "One look, then end");
  add_common(command, arguments.common);
  command->footer(
      "On a terminal until q or Ctrl-C. Elsewhere, and with --json, one look; with --interval one after the other,\n"
      "with --json a line each. CPU% is of one CPU of the host; memory is what a VM's processes hold besides files.\n"
      "Example:\n  pyro top");
  return command;
}

void understand_top(TopArguments& arguments, const std::string& interval, const CLI::App* command) {
  arguments.repeats = command->count("--interval") != 0;
  if (arguments.repeats) {
    arguments.interval = parse_seconds("--interval", interval);
    if (arguments.interval.count() < 0.1 || arguments.interval.count() > 3600) {
      throw Error(ErrorCode::invalid, "--interval: 0.1 to 3600 are possible");
    }
  }
}

CLI::App* add_registry(CLI::App& app, RegistryArguments& arguments) {
  CLI::App* registry = app.add_subcommand("registry", "The index that lists of tasks and VMs are answered from");
  registry->require_subcommand(1);
  registry->footer("Example:\n  pyro registry rebuild");
  CLI::App* rebuild = registry->add_subcommand("rebuild", "Make it again from the folders of the tasks");
  add_common(rebuild, arguments.common);
  rebuild->footer(
      "Tasks and VMs themselves are not touched; others may go on meanwhile.\nExample:\n  pyro registry rebuild");
  return registry;
}

// Everything behind the first "--" of `run`, `task exec` and `vm exec` is the command, byte for byte: the parser never sees it.
struct SplitArguments {
  std::vector<std::string> options;  // last first, as the parser wants them
  std::optional<std::vector<std::string>> command;
};

SplitArguments split(int argc, char** argv) {
  SplitArguments result;
  const std::vector<std::string> all(argv + std::min(argc, 1), argv + argc);
  auto end = all.end();
  const bool runs = !all.empty() && all.front() == "run";
  const bool execs = all.size() > 1 && (all[0] == "task" || all[0] == "vm") && all[1] == "exec";
  if (runs || execs) {
    end = std::find(all.begin(), all.end(), "--");
    if (end != all.end()) {
      result.command.emplace(end + 1, all.end());
    }
  }
  result.options.assign(std::make_reverse_iterator(end), all.rend());
  return result;
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
  RunArguments exec;
  RunTexts exec_texts;
  TaskArguments task;
  RunTexts task_texts;
  FileArguments files;
  FileTexts file_texts;
  RunArguments vm_exec;
  RunTexts vm_exec_texts;
  TaskArguments vm;
  RunTexts vm_texts;
  RunArguments attach;
  AttachTexts attach_texts;
  EnvArguments env_arguments;
  DoctorArguments doctor_arguments;
  TopArguments top;
  std::string top_interval;
  RegistryArguments registry_arguments;

  CLI::App app("Run commands that nobody has read in microVMs.", "pyro");
  app.set_version_flag("--version", fmt::format("pyro {}", version()));
  app.require_subcommand(0, 1);
  app.footer("Example:\n  pyro run debian:12 -- git --version");
  const auto formatter = std::make_shared<UsageFormatter>();
  formatter->column_width(34);
  app.formatter(formatter);
  CLI::App* run_command = add_run(app, run, texts);
  CLI::App* task_command = add_task(app, task, task_texts);
  CLI::App* exec_command = add_task_exec(task_command, exec, exec_texts);
  add_files(task_command, files, file_texts);
  CLI::App* attach_command = add_task_attach(task_command, attach, attach_texts);
  CLI::App* vm_command = add_vm(app, vm, vm_texts);
  CLI::App* vm_exec_command = add_vm_exec(vm_command, vm_exec, vm_exec_texts);
  CLI::App* env_command = add_env(app, env_arguments);
  add_doctor(app, doctor_arguments);
  CLI::App* top_command = add_top(app, top, top_interval);
  CLI::App* registry_command = add_registry(app, registry_arguments);

  SplitArguments arguments = split(argc, argv);
  try {
    app.parse(arguments.options);
    if (app.got_subcommand(top_command)) {
      understand_top(top, top_interval, top_command);
      return top;
    }
    if (app.got_subcommand(run_command)) {
      understand_run(run, texts, run_command, std::move(arguments.command));
      return run;
    }
    if (task_command->got_subcommand(exec_command)) {
      understand_run(exec, exec_texts, exec_command, std::move(arguments.command));
      return exec;
    }
    if (task_command->got_subcommand(attach_command)) {
      understand_attach(attach, attach_texts, attach_command);
      return attach;
    }
    if (vm_command->got_subcommand(vm_exec_command)) {
      understand_run(vm_exec, vm_exec_texts, vm_exec_command, std::move(arguments.command));
      return vm_exec;
    }
    if (app.got_subcommand(vm_command)) {
      understand_task(vm, vm_texts, vm_command->get_subcommands().front());
      return vm;
    }
    if (file_texts.is_given) {
      understand_files(files, file_texts, task_command->get_subcommands().front());
      return files;
    }
    if (app.got_subcommand(task_command)) {
      understand_task(task, task_texts, task_command->get_subcommands().front());
      return task;
    }
  } catch (const CLI::CallForHelp&) {
    return Answer{0, innermost(&app)->help()};
  } catch (const CLI::CallForVersion&) {
    return Answer{0, fmt::format("pyro {}\n", version())};
  } catch (const CLI::ExtrasError&) {
    if ((app.got_subcommand(run_command) || task_command->got_subcommand(exec_command) ||
         vm_command->got_subcommand(vm_exec_command)) &&
        !arguments.command) {
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
  if (app.got_subcommand(registry_command)) {
    return registry_arguments;
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
