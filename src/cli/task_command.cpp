#include "cli/task_command.hpp"

#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/task_text.hpp"
#include "cli/wait.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

TaskOperation start_vm_action(const Pyro& pyro, const TaskArguments& arguments) {
  switch (arguments.action) {
    case TaskAction::create:
      return pyro.start_create_vm(arguments.options);
    case TaskAction::status:
      return pyro.start_status_vm(arguments.id);
    case TaskAction::list:
      return pyro.start_list_vms(arguments.filter);
    case TaskAction::stop:
      return pyro.start_stop_vm(arguments.id);
    case TaskAction::start:
      return pyro.start_start_vm(arguments.id);
    case TaskAction::remove:
      return pyro.start_delete_vm(arguments.id);
    default:
      throw Error(ErrorCode::internal, "pyro vm: an action without a meaning");
  }
}

TaskOperation start(const Pyro& pyro, const TaskArguments& arguments) {
  if (arguments.is_vm) {
    return start_vm_action(pyro, arguments);
  }
  switch (arguments.action) {
    case TaskAction::create:
      return pyro.start_create_task(arguments.options);
    case TaskAction::status:
      return pyro.start_status_task(arguments.id);
    case TaskAction::list:
      return pyro.start_list_tasks(arguments.filter);
    case TaskAction::stop:
      return pyro.start_stop_task(arguments.id);
    case TaskAction::start:
      return pyro.start_start_task(arguments.id);
    case TaskAction::ttl:
      return pyro.start_set_task_ttl(arguments.id, arguments.ttl);
    case TaskAction::remove:
      return pyro.start_delete_task(arguments.id);
    case TaskAction::reap:
      return pyro.start_reap_expired();
    case TaskAction::logs:
      break;
  }
  throw Error(ErrorCode::internal, "pyro task: an action without a meaning");
}

// What a person sees; empty: nothing.
std::string text_of(TaskAction action, const TaskList& list) {
  switch (action) {
    case TaskAction::create:
      return list.tasks.at(0).id;
    case TaskAction::status:
      return status_screen(list.tasks.at(0));
    case TaskAction::list:
      return task_table(list.tasks);
    case TaskAction::reap: {
      std::string text;
      for (const TaskInfo& task : list.tasks) {
        text += (text.empty() ? "" : "\n") + task.id;
      }
      return text;
    }
    default:
      return {};
  }
}

// Output as it comes, each stream to its own, byte for byte.
class Follower {
 public:
  Follower(LogsOperation operation, Signals& signals) : operation_(std::move(operation)), signals_(signals) {}

  int drive() {
    while (true) {
      while (!out_.pending() && !err_.pending() && !operation_.ended()) {
        const Event* event = operation_.next(std::chrono::milliseconds(0));
        if (event == nullptr) {
          break;
        }
        if (event->kind == EventKind::stdout_data || event->kind == EventKind::stderr_data) {
          (event->kind == EventKind::stdout_data ? out_ : err_).offer(event->data);
        }
        if (const int error = flush()) {
          return error;
        }
      }
      if (const int error = flush()) {
        return error;
      }
      if (operation_.ended() && !out_.pending() && !err_.pending()) {
        return 0;
      }
      wait();
      while (const auto number = signals_.take()) {
        if (*number != SIGWINCH && *number != SIGCONT) {
          return 128 + *number;
        }
      }
    }
  }

 private:
  int flush() {
    if (err_.flush() != 0) {
      err_.drop();
    }
    const int error = out_.flush();
    if (error == 0) {
      return 0;
    }
    if (error == EPIPE) {
      return kExitBrokenPipe;
    }
    say(fmt::format("cannot write to standard output: {}", std::strerror(error)));
    return kExitFailed;
  }

  void wait() {
    std::array<pollfd, 2> entries{{{signals_.fd(), POLLIN, 0}, {operation_.fd(), POLLIN, 0}}};
    if (out_.pending()) {
      entries[1] = out_.poll_entry();
    } else if (err_.pending()) {
      entries[1] = err_.poll_entry();
    }
    ::poll(entries.data(), entries.size(), -1);
  }

  LogsOperation operation_;
  Signals& signals_;
  Output out_{STDOUT_FILENO};
  Output err_{STDERR_FILENO};
};

// Waits for room as long as it takes.
int write_whole(Output& output, std::string_view bytes) {
  output.offer(bytes);
  while (output.pending()) {
    if (const int error = output.flush()) {
      return error == EPIPE ? kExitBrokenPipe : kExitFailed;
    }
    pollfd entry = output.poll_entry();
    ::poll(&entry, 1, -1);
  }
  return 0;
}

int show_logs(const Pyro& pyro, const TaskArguments& arguments, Signals& signals, ProgressDisplay& progress) {
  LogsOptions options = arguments.logs;
  // As it was printed: both streams in their order.
  const bool raw = !arguments.common.json && (arguments.follow || options.command_number != 0);
  if (raw && (arguments.follow || options.output_limit_bytes == UINT64_MAX)) {
    options.mode = arguments.follow ? LogsMode::follow : LogsMode::stream;
    return Follower(pyro.start_logs_task(arguments.id, options), signals).drive();
  }
  const CommandList list = wait_for(pyro.start_logs_task(arguments.id, options), signals, progress);
  if (!raw) {
    return print(arguments.common.json ? list.json : command_table(list.commands));
  }
  Output out(STDOUT_FILENO);
  Output err(STDERR_FILENO);
  const CommandRecord& command = list.commands.at(0);
  const int error = write_whole(err, command.stderr_data);
  const int exit_code = write_whole(out, command.stdout_data);
  return exit_code == 0 ? error : exit_code;
}

int run_action(const Pyro& pyro, const TaskArguments& arguments, Signals& signals) {
  ProgressDisplay progress(arguments.common.quiet || arguments.common.json);
  if (arguments.action == TaskAction::logs) {
    return show_logs(pyro, arguments, signals, progress);
  }
  const TaskList list = wait_for(start(pyro, arguments), signals, progress);
  say_log(pyro, arguments.common);
  if (arguments.common.json) {
    return print(list.json);
  }
  const std::string text = text_of(arguments.action, list);
  return text.empty() ? 0 : print(text);
}

}  // namespace

int task_command(const TaskArguments& arguments, Signals& signals) {
  const Pyro pyro = open_pyro(arguments.common);
  try {
    return run_action(pyro, arguments, signals);
  } catch (const Error&) {
    say_log(pyro, arguments.common);
    throw;
  }
}

}  // namespace pyro::cli
