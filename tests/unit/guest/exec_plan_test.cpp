// What is handed to execve(): environment and candidates.
#include <cerrno>

#include <doctest/doctest.h>

#include "guest/exec_plan.hpp"

namespace pyro::guest {

namespace {

Account builder() {
  Account account;
  account.name = "builder";
  account.home = "/home/builder";
  account.shell = "/bin/zsh";
  return account;
}

}  // namespace

TEST_SUITE("guest") {
  TEST_CASE("environment: nothing asked for → what a login has, TERM only with a terminal") {
    wire::Exec exec;
    const auto plain = command_environment(exec, builder());
    CHECK(environment_value(plain, "HOME") == "/home/builder");
    CHECK(environment_value(plain, "USER") == "builder");
    CHECK(environment_value(plain, "LOGNAME") == "builder");
    CHECK(environment_value(plain, "SHELL") == "/bin/zsh");
    CHECK(environment_value(plain, "PATH") == kDefaultPath);
    CHECK(environment_value(plain, "LANG") == "C.UTF-8");
    CHECK(environment_value(plain, "TERM").empty());
    exec.pty = true;
    CHECK(environment_value(command_environment(exec, builder()), "TERM") == "xterm-256color");
  }

  TEST_CASE("environment: a variable is set → it replaces the default, the last setting wins") {
    wire::Exec exec;
    exec.env = {"HOME=/tmp", "A=1", "A=2=3", "EMPTY="};
    const auto environment = command_environment(exec, builder());
    CHECK(environment_value(environment, "HOME") == "/tmp");
    CHECK(environment_value(environment, "A") == "2=3");
    CHECK(environment_value(environment, "EMPTY").empty());
    CHECK(environment.size() == 8);
  }

  TEST_CASE("candidates: with a slash → that path only") {
    CHECK(exec_candidates("./run", "/bin") == std::vector<std::string>{"./run"});
    CHECK(exec_candidates("/bin/ls", "") == std::vector<std::string>{"/bin/ls"});
  }

  TEST_CASE("candidates: without a slash → every part of PATH, an empty part is the working directory") {
    CHECK(exec_candidates("ls", "/bin:/usr/bin") == std::vector<std::string>{"/bin/ls", "/usr/bin/ls"});
    CHECK(exec_candidates("ls", ":/bin:") == std::vector<std::string>{"./ls", "/bin/ls", "./ls"});
    CHECK(exec_candidates("ls", "") == std::vector<std::string>{"./ls"});
  }

  TEST_CASE("candidates: an empty name → none") {
    CHECK(exec_candidates("", "/bin").empty());
  }

  TEST_CASE("failure: as a shell has it → 127 for what is not there, 126 for the rest") {
    CHECK(exec_failure(ENOENT) == wire::ExecFailure::not_found);
    CHECK(exec_failure(ENOTDIR) == wire::ExecFailure::not_found);
    for (const int why : {EACCES, ENOEXEC, E2BIG, ENOMEM, ETXTBSY}) {
      CHECK(exec_failure(why) == wire::ExecFailure::not_executable);
    }
    CHECK(search_goes_on(EACCES));
    CHECK_FALSE(search_goes_on(E2BIG));
  }
}

}  // namespace pyro::guest
