#include "cli/attach_options.hpp"

#include "cli/option_values.hpp"
#include "cli/terminal.hpp"

#include <unistd.h>

namespace pyro::cli {

CLI::App* add_task_attach(CLI::App* task, RunArguments& attach, AttachTexts& texts) {
  attach.detach_keys = DetachKeys::standard();
  CLI::App* command = task->add_subcommand("attach", "Join a command that runs, or hear how one ended");
  command->add_option("ID", attach.task_id, "The task")->required();
  command->add_option("NUMBER", attach.attach_number, "The command: pyro task logs ID lists them")
      ->required()
      ->check(CLI::PositiveNumber);
  command->add_flag("-i,--interactive", attach.interactive, "Pass standard input on to a command without a terminal");
  command->add_flag("-n,--no-stdin", attach.no_stdin, "Only watch: no input, and Ctrl-C detaches");
  command->add_option("--tail", texts.tail, "So much of what it printed before, or all (64K)")->type_name("SIZE");
  command->add_option("--detach-keys", texts.detach_keys, "Keys that detach from a terminal (ctrl-p,ctrl-q), or none")
      ->type_name("KEYS");
  add_common(command, attach.common);
  command->footer(
      "Keys go to a command that has a terminal. The exit code is the command's, as of pyro task exec; after\n"
      "detaching it is 0, and the command goes on.\n"
      "Examples:\n"
      "  pyro task attach k7dq2mxw4zpa 2\n"
      "  pyro task attach -n --tail all k7dq2mxw4zpa 2");
  return command;
}

void understand_attach(RunArguments& attach, const AttachTexts& texts, const CLI::App* command) {
  if (attach.no_stdin && attach.interactive) {
    throw Error(ErrorCode::invalid, "-i and -n contradict each other: leave one out");
  }
  if (attach.common.json && attach.interactive) {
    throw Error(ErrorCode::invalid, "-i and --json contradict each other: leave one out");
  }
  attach.no_stdin = attach.no_stdin || attach.common.json;
  if (command->count("--tail") != 0) {
    attach.tail_bytes = parse_bytes("--tail", texts.tail);
  }
  if (command->count("--detach-keys") != 0) {
    attach.detach_keys = DetachKeys::parse("--detach-keys", texts.detach_keys);
  }
  RunOptions& options = attach.options;
  // Whether the command has a terminal, and so whether keys are for it, shows later.
  options.stdin_stream = !attach.no_stdin && (attach.interactive || is_terminal(STDIN_FILENO));
  const auto size = terminal_size();
  if (size && options.stdin_stream) {
    options.pty_rows = size->rows;
    options.pty_columns = size->columns;
  }
}

}  // namespace pyro::cli
