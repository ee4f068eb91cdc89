// Runs commands in microVMs from C++: one that is waited for, and one whose output is read as it comes.
#include <pyro/pyro.hpp>

#include <iostream>

namespace {

// The short way: everything about the command is in the Result.
void run_and_wait(const pyro::Pyro& pyro) {
  const pyro::Result result = pyro.run_in_vm({
      .environment = "debian:12",
      .command = {"python3", "-c", "import sys; print(sum(map(int, sys.stdin)))"},
      .stdin_data = "1\n2\n39\n",
      .timeout_seconds = 20,
  });
  std::cout << "exit code " << result.exit_code << ", output " << result.stdout_data;
  std::cout << "engine " << to_string(result.engine) << ", " << result.duration_ms << " ms\n";
}

// The same step by step: output as it comes, input and signals while the command runs.
void run_and_watch(const pyro::Pyro& pyro) {
  pyro::RunOperation operation = pyro.start_run_in_vm({
      .environment = "debian:12",
      .command = "for i in 1 2 3; do echo line $i; done; echo done >&2; exit 3",
  });
  for (const pyro::Event& event : operation) {
    switch (event.kind) {
      case pyro::EventKind::progress:
        std::cerr << event.message << '\n';
        break;
      case pyro::EventKind::stdout_data:
        std::cout << event.data;
        break;
      case pyro::EventKind::stderr_data:
        std::cerr << event.data;
        break;
      case pyro::EventKind::exit:
        std::cout << "exit code " << event.result->exit_code << '\n';
        break;
      default:
        break;
    }
  }
}

}  // namespace

int main() {
  try {
    const pyro::Pyro pyro;
    run_and_wait(pyro);
    run_and_watch(pyro);
    return 0;
  } catch (const pyro::Error& error) {
    std::cerr << to_string(error.code()) << ": " << error.what() << '\n' << error.console();
    return 1;
  }
}
