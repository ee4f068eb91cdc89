// A task from C++: a VM that stays, commands that share its /workspace, its journal, its end.
//
//   c++ -std=c++20 task.cpp $(pkg-config --cflags --libs pyro) && ./a.out [ENVIRONMENT]
#include <pyro/pyro.hpp>

#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

namespace {

void use(const pyro::Pyro& pyro, const std::string& id) {
  if (!pyro.exec_task(id, {.command = "echo hello >greeting"}).success()) {
    throw std::runtime_error("the first command failed");
  }
  const pyro::Result result = pyro.exec_task(id, {.command = {"cat", "greeting"}});
  std::cout << "command " << result.command_number << " says " << result.stdout_data;

  // Nobody waits for this one; its output is in the journal, live and later.
  const std::uint64_t number =
      pyro.exec_task_detached(id, {.command = "for i in 1 2 3; do echo tick $i; sleep 0.2; done"});
  pyro::LogsOperation logs = pyro.start_logs_task(id, {.command_number = number, .mode = pyro::LogsMode::follow});
  for (const pyro::Event& event : logs) {
    if (event.kind == pyro::EventKind::stdout_data) {
      std::cout << "command " << event.command_number << " says " << event.data;
    }
  }

  pyro.stop_task(id);
  pyro.start_task(id);
  std::cout << "after a restart: " << pyro.exec_task(id, {.command = "cat greeting"}).stdout_data;
  for (const pyro::CommandRecord& command : pyro.logs_task(id).commands) {
    std::cout << "journal: " << command.number << " " << command.argv.back() << " -> " << command.exit_code << "\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const pyro::Pyro pyro;
    const pyro::TaskInfo task = pyro.create_task({.environment = argc > 1 ? argv[1] : "debian:12"});
    std::cout << "task " << task.id << " runs\n";
    try {
      use(pyro, task.id);
    } catch (...) {
      pyro.delete_task(task.id);
      throw;
    }
    pyro.delete_task(task.id);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
