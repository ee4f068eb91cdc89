#include "cli/run_command.hpp"

#include "cli/input.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/terminal.hpp"
#include "cli/wait.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <vector>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

// A second Ctrl-C within this time ends the VM, whatever the command does about the first.
constexpr std::chrono::seconds kSecondInterrupt{2};

// What both kinds of a command share.
ExecOptions exec_options(const RunOptions& from) {
  ExecOptions to;
  to.command = from.command;
  to.env = from.env;
  to.cwd = from.cwd;
  to.user = from.user;
  to.stdin_data = from.stdin_data;
  to.stdin_stream = from.stdin_stream;
  to.pty = from.pty;
  to.pty_rows = from.pty_rows;
  to.pty_columns = from.pty_columns;
  to.timeout_seconds = from.timeout_seconds;
  to.output_limit_bytes = from.output_limit_bytes;
  return to;
}

ExecOptions exec_options(const RunArguments& from) {
  ExecOptions to = exec_options(from.options);
  to.keep_stdin = from.keep_stdin;
  return to;
}

AttachOptions attach_options(const RunArguments& from) {
  AttachOptions to;
  to.command_number = from.attach_number;
  to.stdin_stream = from.options.stdin_stream;
  to.pty_rows = from.options.pty_rows;
  to.pty_columns = from.options.pty_columns;
  to.tail_bytes = from.tail_bytes;
  return to;
}

class RunSession {
 public:
  RunSession(const Pyro& pyro, const RunArguments& arguments, Signals& signals)
      : arguments_(arguments),
        signals_(signals),
        progress_(arguments.common.quiet),
        input_(arguments.options.stdin_stream),
        pty_(arguments.options.pty),
        operation_(start(pyro, arguments)) {
    signals_.add(SIGTSTP);
  }

  /// The exit code; the command may go on if nobody reads what it prints, or who typed left it.
  int drive() {
    while (!finished()) {
      take_events();
      if (const int exit_code = flush_outputs()) {
        return exit_code;
      }
      input_.push(operation_);
      if (operation_.ended() || !input_.is_open()) {
        // Keys are for nobody any more; Ctrl-C is to be a signal again.
        raw_mode_.leave();
      }
      if (input_.detached()) {
        return detach();
      }
      if (input_.hung_up() && signals_.fatal() == 0) {
        stop(SIGHUP);
      }
      if (!finished()) {
        wait();
      }
    }
    raw_mode_.leave();
    progress_.clear();
    return finish(operation_.result());
  }

  /// The last word of the command was heard.
  [[nodiscard]] bool ended() const { return operation_.ended(); }

 private:
  static RunOperation start(const Pyro& pyro, const RunArguments& arguments) {
    if (arguments.task_id.empty()) {
      return pyro.start_run_in_vm(arguments.options);
    }
    if (arguments.attach_number != 0) {
      return pyro.start_attach_task(arguments.task_id, attach_options(arguments));
    }
    const ExecOptions options = exec_options(arguments);
    return arguments.is_vm ? pyro.start_exec_vm(arguments.task_id, options)
                           : pyro.start_exec_task(arguments.task_id, options);
  }

  [[nodiscard]] bool blocked() const { return stdout_.pending() || stderr_.pending(); }
  [[nodiscard]] bool finished() const { return operation_.ended() && !blocked(); }

  // Events are taken only when the last one's bytes are written: so a reader that does not read
  // makes the command wait, not this program grow.
  void take_events() {
    for (int taken = 0; taken < kEventsAtATime && !blocked(); ++taken) {
      const Event* event = operation_.next(std::chrono::milliseconds(0));
      if (event == nullptr) {
        return;
      }
      take(*event);
    }
  }

  void take(const Event& event) {
    switch (event.kind) {
      case EventKind::progress:
        progress_.show(event);
        break;
      case EventKind::started:
        started_ = true;
        command_number_ = event.command_number;
        progress_.clear();
        enter_terminal(event);
        break;
      case EventKind::stdout_data:
      case EventKind::stderr_data:
        if (arguments_.common.json) {
          operation_.collect(event);
        } else {
          (event.kind == EventKind::stdout_data ? stdout_ : stderr_).offer(event.data);
          write_error_ = stdout_.flush();
          stderr_flush();
        }
        break;
      default:
        break;
    }
  }

  // The command runs. Of one that was started elsewhere it shows only now what it is.
  void enter_terminal(const Event& event) {
    if (arguments_.attach_number != 0) {
      pty_ = event.pty;
      if (!event.stdin_open || !(pty_ || arguments_.interactive)) {
        input_.close();
      }
    }
    if (!pty_ || !input_.is_open()) {
      return;
    }
    raw_mode_.enter();
    if (is_terminal(STDIN_FILENO)) {
      input_.enter_terminal(arguments_.detach_keys);
    }
  }

  // The keys for it were typed.
  int detach() {
    operation_.cancel();
    raw_mode_.leave();
    if (!arguments_.common.quiet) {
      say_raw("\n");
      say(fmt::format("detached; pyro task attach {} {}", arguments_.task_id, command_number_));
    }
    return 0;
  }

  // Nobody to tell if stderr cannot be written; the command's stdout still counts.
  void stderr_flush() {
    if (stderr_.flush() != 0) {
      stderr_.drop();
    }
  }

  // 0, or the exit code that a failed write of stdout means; the VM ends with this object.
  int flush_outputs() {
    stderr_flush();
    if (write_error_ == 0) {
      write_error_ = stdout_.flush();
    }
    if (write_error_ == 0) {
      return 0;
    }
    if (write_error_ == EPIPE) {
      return kExitBrokenPipe;
    }
    raw_mode_.leave();
    say(fmt::format("cannot write to standard output: {}", std::strerror(write_error_)));
    return kExitFailed;
  }

  void wait() {
    std::vector<pollfd> entries{{signals_.fd(), POLLIN, 0}};
    if (stdout_.pending()) {
      entries.push_back(stdout_.poll_entry());
    } else if (stderr_.pending()) {
      entries.push_back(stderr_.poll_entry());
    } else {
      entries.push_back({operation_.fd(), POLLIN, 0});
    }
    const bool reading = input_.wants_to_read();
    if (reading) {
      entries.push_back(Input::poll_entry());
    }
    ::poll(entries.data(), entries.size(), -1);
    while (const auto number = signals_.take()) {
      take_signal(*number);
    }
    if (reading && entries.back().revents != 0) {
      input_.read();
    }
  }

  void take_signal(int number) {
    switch (number) {
      case SIGWINCH:
        resize();
        break;
      case SIGTSTP:
        // Somebody stops this program, which then must not leave the terminal in a state that no shell expects.
        raw_mode_.pause();
        ::kill(::getpid(), SIGSTOP);
        break;
      case SIGCONT:
        raw_mode_.resume();
        if (started_ && arguments_.options.stdin_stream) {
          resize();
        }
        break;
      case SIGINT:
        interrupt();
        break;
      case SIGQUIT:
        if (started_) {
          send(SIGQUIT);
        } else {
          stop(SIGQUIT);
        }
        break;
      default:
        stop(number);
    }
  }

  // The command gets the first one, as it would without a VM around it. Before it runs there is
  // nobody to decide otherwise.
  void interrupt() {
    const auto now = std::chrono::steady_clock::now();
    const bool watches = arguments_.attach_number != 0 && arguments_.no_stdin;
    if (!started_ || watches || (interrupted_at_ && now - *interrupted_at_ < kSecondInterrupt)) {
      stop(SIGINT);
      return;
    }
    interrupted_at_ = now;
    send(SIGINT);
  }

  void stop(int number) {
    signals_.set_fatal(number);
    stdout_.drop();
    stderr_.drop();
    operation_.cancel();
    if (command_number_ != 0 && !arguments_.is_vm && !arguments_.common.quiet) {
      raw_mode_.leave();
      say(fmt::format("the command goes on: pyro task attach {} {}", arguments_.task_id, command_number_));
    }
  }

  void send(int number) {
    try {
      operation_.signal(number);
    } catch (const Error& error) {
      ignore_ended(error);
    }
  }

  void resize() {
    const auto size = terminal_size();
    if (!pty_ || !size) {
      return;
    }
    try {
      operation_.resize(size->rows, size->columns);
    } catch (const Error& error) {
      ignore_ended(error);
    }
  }

  // Signals and sizes may come too late; that is no failure.
  static void ignore_ended(const Error& error) {
    if (error.code() != ErrorCode::state) {
      throw error;
    }
  }

  int finish(const Result& result) const;
  [[nodiscard]] static std::string to_json(const Result& result);
  void say_notes(const Result& result) const;

  const RunArguments& arguments_;
  Signals& signals_;
  ProgressDisplay progress_;
  Input input_;
  Output stdout_{STDOUT_FILENO};
  Output stderr_{STDERR_FILENO};
  int write_error_ = 0;
  bool started_ = false;
  bool pty_;
  /// In its task; 0: it has a VM of its own.
  std::uint64_t command_number_ = 0;
  std::optional<std::chrono::steady_clock::time_point> interrupted_at_;
  RawMode raw_mode_;
  RunOperation operation_;  // last: ended first, so that the VM is gone before the terminal is restored
};

int RunSession::finish(const Result& result) const {
  say_notes(result);
  if (arguments_.common.json) {
    if (const int exit_code = print(to_json(result))) {
      return exit_code;
    }
  }
  return result.exit_code;
}

void add_stream(JsonObject& object, const std::string& name, const std::string& bytes) {
  object.add(name, bytes);
  if (!is_utf8(bytes)) {
    object.add(name + "_base64", base64(bytes));
  }
}

std::string RunSession::to_json(const Result& result) {
  JsonObject object;
  object.add("exit_code", std::int64_t{result.exit_code});
  add_stream(object, "stdout", result.stdout_data);
  add_stream(object, "stderr", result.stderr_data);
  object.add("stdout_truncated", result.stdout_truncated)
      .add("stderr_truncated", result.stderr_truncated)
      .add("stdout_total_bytes", result.stdout_total_bytes)
      .add("stderr_total_bytes", result.stderr_total_bytes)
      .add("duration_ms", result.duration_ms)
      .add("startup_ms", result.startup_ms)
      .add("cpu_time_ms", result.cpu_time_ms)
      .add("memory_peak_bytes", result.memory_peak_bytes)
      .add("timed_out", result.timed_out)
      .add("term_signal", std::int64_t{result.term_signal})
      .add("oom_killed", result.oom_killed)
      .add("engine", to_string(result.engine))
      .add("start_kind", to_string(result.start_kind))
      .add("vm_id", result.vm_id);
  if (!result.task_id.empty()) {
    object.add("task_id", result.task_id).add("command_number", result.command_number);
  }
  return object.str();
}

// For people only: a program that reads stderr gets the command's bytes and nothing else.
void RunSession::say_notes(const Result& result) const {
  if (arguments_.common.quiet || !is_terminal(STDERR_FILENO)) {
    return;
  }
  if (result.timed_out) {
    say("the command ran into its time limit (--timeout SECONDS) and was killed");
  }
  if (result.oom_killed) {
    say("the guest ran out of memory (--memory SIZE) and killed a process of the command");
  }
  if (result.engine == Engine::software) {
    say("ran on the software engine: slower and a weaker boundary than KVM; pyro doctor says why");
  }
}

// A VM goes with its command, and with whoever gave that up.
void remove_vm(const Pyro& pyro, const std::string& id) {
  try {
    pyro.delete_vm(id);
  } catch (const Error& error) {
    say(fmt::format("VM {} is left: {}", id, error.what()));
  }
}

}  // namespace

int run_command(const RunArguments& arguments, Signals& signals) {
  const Pyro pyro = open_pyro(arguments.common);
  try {
    if (arguments.detach) {
      ExecOperation operation = pyro.start_exec_task_detached(arguments.task_id, exec_options(arguments));
      ProgressDisplay progress(arguments.common.quiet || arguments.common.json);
      wait_to_end(operation, signals, progress);
      const std::uint64_t number = operation.command_number();
      say_log(pyro, arguments.common);
      return print(arguments.common.json
                       ? JsonObject().add("task_id", arguments.task_id).add("command_number", number).str()
                       : fmt::to_string(number));
    }
    RunSession session(pyro, arguments, signals);
    const int exit_code = session.drive();
    say_log(pyro, arguments.common);
    if (arguments.is_vm && !session.ended()) {
      remove_vm(pyro, arguments.task_id);
    }
    return exit_code;
  } catch (const Error& error) {
    say_log(pyro, arguments.common);
    if (arguments.is_vm && error.code() == ErrorCode::cancelled && signals.fatal() != 0) {
      remove_vm(pyro, arguments.task_id);
    }
    throw;
  }
}

}  // namespace pyro::cli
