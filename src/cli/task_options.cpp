#include "cli/task_options.hpp"

#include "cli/option_values.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

constexpr std::array kStates{TaskState::created, TaskState::starting, TaskState::running,
                             TaskState::paused,  TaskState::stopped,  TaskState::failed};

CLI::App* add_action(CLI::App* task, TaskArguments& arguments, TaskAction action, const char* name, const char* help,
                     const char* example) {
  CLI::App* command = task->add_subcommand(name, help);
  add_common(command, arguments.common);
  command->footer(std::string("Example:\n  ") + example);
  command->parse_complete_callback([&arguments, action] { arguments.action = action; });
  return command;
}

void add_texts(CLI::App* command, const char* option, std::vector<std::string>& texts, const char* help,
               const char* type) {
  command->add_option(option, texts, help)->type_name(type)->type_size(1)->allow_extra_args(false);
}

void add_create(CLI::App* create, TaskArguments& arguments, RunTexts& texts) {
  create->add_option("ENV", arguments.options.environment, "Environment, such as debian:12; built on first use")
      ->required();
  add_texts(create, "-l,--label", texts.labels, "NAME=VALUE to find it by; may be repeated", "LABEL");
  create->add_option("--ttl", texts.ttl, "Stop it when it was not used for so long (600), or none")
      ->type_name("SECONDS");
  create->add_option("--retention", texts.retention, "Delete it so long after its end (604800), or none")
      ->type_name("SECONDS");
  add_vm_options(create, texts, arguments.options.network);
}

void add_list(CLI::App* list, RunTexts& texts) {
  add_texts(list, "-l,--label", texts.labels, "Only those with this NAME=VALUE; may be repeated", "LABEL");
  add_texts(list, "-s,--state", texts.states, "Only those in this state; may be repeated", "STATE");
}

}  // namespace

CLI::App* add_task(CLI::App& app, TaskArguments& arguments, RunTexts& texts) {
  CLI::App* task = app.add_subcommand("task", "Tasks: VMs that stay, with a /workspace of their own");
  task->require_subcommand(1);
  task->footer(
      "Example:\n  id=$(pyro task create debian:12)\n  pyro task exec $id -- git init\n  pyro task delete $id");
  const auto id = [&arguments](CLI::App* command) {
    command->add_option("ID", arguments.id, "The task")->required();
    return command;
  };

  CLI::App* create = add_action(task, arguments, TaskAction::create, "create", "Make one, start it, print its id",
                                "pyro task create --label agent=seven --ttl 3600 debian:12\n"
                                "  pyro task create --seed ./project debian:12");
  add_create(create, arguments, texts);
  create
      ->add_option("--seed", arguments.options.seed, "Copy this directory's content, or that of a tar, into /workspace")
      ->type_name("PATH");
  id(add_action(task, arguments, TaskAction::status, "status", "What one does now", "pyro task status k7dq2mxw4zpa"));

  add_list(add_action(task, arguments, TaskAction::list, "list", "All tasks, newest first",
                      "pyro task list --label agent=seven --state running"),
           texts);

  CLI::App* logs = id(add_action(task, arguments, TaskAction::logs, "logs", "Its commands, or what one of them printed",
                                 "pyro task logs k7dq2mxw4zpa      # a table of the commands\n"
                                 "  pyro task logs k7dq2mxw4zpa 3    # what the third one printed, byte for byte\n"
                                 "  pyro task logs -f k7dq2mxw4zpa   # what all of them print, as it comes"));
  logs->add_option("NUMBER", arguments.logs.command_number, "The command")->check(CLI::PositiveNumber);
  logs->add_flag("-f,--follow", arguments.follow, "Go on with output as it comes");
  logs->add_option("--tail", texts.output_limit, "Only so many bytes of each stream, the last ones (all)")
      ->type_name("SIZE");

  id(add_action(task, arguments, TaskAction::stop, "stop", "Power its VM off; disk and journal stay",
                "pyro task stop k7dq2mxw4zpa"));
  id(add_action(task, arguments, TaskAction::start, "start", "Start it again, on its disk",
                "pyro task start k7dq2mxw4zpa"));
  CLI::App* ttl = id(add_action(task, arguments, TaskAction::ttl, "ttl", "Change how long it goes on unused",
                                "pyro task ttl k7dq2mxw4zpa 3600"));
  ttl->add_option("SECONDS", texts.ttl, "A number of seconds, or none")->required();
  id(add_action(task, arguments, TaskAction::remove, "delete", "Kill its VM, remove its disk and journal",
                "pyro task delete k7dq2mxw4zpa"));
  add_action(task, arguments, TaskAction::reap, "reap", "Delete those whose time is over", "pyro task reap");
  return task;
}

CLI::App* add_vm(CLI::App& app, TaskArguments& arguments, RunTexts& texts) {
  arguments.is_vm = true;
  CLI::App* vm = app.add_subcommand("vm", "VMs step by step: made, started, used once, gone");
  vm->require_subcommand(1);
  vm->footer("Example:\n  id=$(pyro vm create debian:12)\n  pyro vm start $id\n  pyro vm exec $id -- git --version");
  const auto add = [&](TaskAction action, const char* name, const char* help) {
    return add_action(vm, arguments, action, name, help, fmt::format("pyro vm {} k7dq2mxw4zpa", name).c_str());
  };
  const auto id = [&arguments](CLI::App* command) { command->add_option("ID", arguments.id, "The VM")->required(); };
  add_create(
      add_action(vm, arguments, TaskAction::create, "create", "Make one, print its id", "pyro vm create debian:12"),
      arguments, texts);
  id(add(TaskAction::start, "start", "Start it"));
  id(add(TaskAction::status, "status", "What one does now"));
  add_list(add_action(vm, arguments, TaskAction::list, "list", "All VMs, newest first", "pyro vm list"), texts);
  id(add(TaskAction::stop, "stop", "Power it off; its disk stays"));
  id(add(TaskAction::remove, "delete", "Kill it, remove its files"));
  return vm;
}

void understand_task(TaskArguments& arguments, const RunTexts& texts, const CLI::App* command) {
  const auto given = [command](const char* option) {
    const CLI::Option* found = command->get_option_no_throw(option);
    return found != nullptr && found->count() != 0;
  };
  if (arguments.action == TaskAction::create) {
    TaskOptions& options = arguments.options;
    RunOptions vm;
    understand_vm(command, texts, vm);
    options.engine = vm.engine;
    options.vcpu_count = vm.vcpu_count;
    options.mem_mib = vm.mem_mib;
    options.disk_mib = vm.disk_mib;
    options.boot_timeout_seconds = vm.boot_timeout_seconds;
    options.max_lifetime_seconds = vm.max_lifetime_seconds;
    require_value(command, "ENV", options.environment);
    if (given("--seed")) {
      require_value(command, "--seed", options.seed);
    }
    if (given("--ttl")) {
      options.ttl_seconds = parse_seconds("--ttl", texts.ttl);
    }
    if (given("--retention")) {
      options.retention_seconds = parse_seconds("--retention", texts.retention);
    }
    options.labels = parse_labels(texts.labels);
  }
  if (arguments.action == TaskAction::ttl) {
    arguments.ttl = parse_seconds("SECONDS", texts.ttl);
  }
  if (arguments.action == TaskAction::list) {
    arguments.filter.labels = parse_labels(texts.labels);
    for (const std::string& name : texts.states) {
      const auto* const found =
          std::find_if(kStates.begin(), kStates.end(), [&name](TaskState state) { return to_string(state) == name; });
      if (found == kStates.end()) {
        throw Error(ErrorCode::invalid, fmt::format("--state: \"{}\" is none of created, starting, running, paused, "
                                                    "stopped and failed",
                                                    name));
      }
      arguments.filter.states.push_back(*found);
    }
  }
  if (arguments.action == TaskAction::logs) {
    arguments.logs.output_limit_bytes = given("--tail")         ? parse_bytes("--tail", texts.output_limit)
                                        : arguments.common.json ? 0
                                                                : UINT64_MAX;
  }
}

}  // namespace pyro::cli
