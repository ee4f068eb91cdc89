// The pyro program: the library's public API at a command line, and nothing that the API cannot do.
#include "cli/command_line.hpp"
#include "cli/doctor_command.hpp"
#include "cli/env_command.hpp"
#include "cli/file_command.hpp"
#include "cli/registry_command.hpp"
#include "cli/run_command.hpp"
#include "cli/signals.hpp"
#include "cli/task_command.hpp"
#include "cli/top_command.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <exception>

namespace {

using namespace pyro::cli;

// A closed stdin, stdout or stderr must not become the number of some other file. Reading gives the
// end; writing fails, as it would have.
void reserve_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) {
      static_cast<void>(::open("/dev/null", O_RDONLY));
    }
  }
}

struct Execute {
  Signals& signals;

  int operator()(const Answer& answer) const {
    if (answer.exit_code == 0) {
      return print(std::string_view(answer.text).substr(0, answer.text.find_last_not_of('\n') + 1));
    }
    say_raw(answer.text);
    return answer.exit_code;
  }
  int operator()(const RunArguments& arguments) const { return run_command(arguments, signals); }
  int operator()(const TaskArguments& arguments) const { return task_command(arguments, signals); }
  int operator()(const FileArguments& arguments) const { return file_command(arguments, signals); }
  int operator()(const EnvArguments& arguments) const { return env_command(arguments, signals); }
  int operator()(const DoctorArguments& arguments) const { return doctor_command(arguments, signals); }
  int operator()(const TopArguments& arguments) const { return top_command(arguments, signals); }
  int operator()(const RegistryArguments& arguments) const { return registry_command(arguments, signals); }
};

bool wants_json(const CommandLine& command_line) {
  return std::visit(
      [](const auto& arguments) {
        if constexpr (requires { arguments.common; }) {
          return arguments.common.json;
        } else {
          return false;
        }
      },
      command_line);
}

int run(int argc, char** argv) {
  const CommandLine command_line = parse_command_line(argc, argv);
  Signals signals;
  try {
    return std::visit(Execute{signals}, command_line);
  } catch (const pyro::Error& error) {
    if (error.code() == pyro::ErrorCode::cancelled && signals.fatal() != 0) {
      return 128 + signals.fatal();
    }
    return report_error(error, wants_json(command_line));
  }
}

}  // namespace

int main(int argc, char** argv) {
  reserve_standard_descriptors();
  ::signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    say(error.what());
    return kExitFailed;
  }
}
