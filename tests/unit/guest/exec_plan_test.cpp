// What is handed to execve(): environment and candidates.
#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "guest/exec_plan.hpp"

namespace pyro::guest {

namespace {

using Texts = std::vector<std::string>;

Texts exec_candidates(std::string_view command, std::string_view path) {
  ProgramSearch search(command, path);
  std::array<char, 32> file;
  Texts out;
  for (auto next = search.next(file); next != ProgramSearch::Next::none; next = search.next(file)) {
    out.emplace_back(next == ProgramSearch::Next::found ? file.data() : "too long");
  }
  return out;
}

}  // namespace

TEST_SUITE("guest") {
  TEST_CASE("environment: nothing asked for → what a login has, TERM only with a terminal") {
    wire::Exec exec;
    const auto plain = command_environment(exec);
    CHECK(Texts(plain.begin(), plain.begin() + 4) == Texts{"HOME", "USER", "LOGNAME", "SHELL"});
    CHECK(environment_value(plain, "PATH") == kDefaultPath);
    CHECK(environment_value(plain, "LANG") == "C.UTF-8");
    CHECK(environment_value(plain, "TERM").empty());
    exec.pty = true;
    CHECK(environment_value(command_environment(exec), "TERM") == "xterm-256color");
  }

  TEST_CASE("environment: a variable is set → it replaces the default, the last setting wins") {
    wire::Exec exec;
    exec.env = {"HOME=/tmp", "A=1", "A=2=3", "EMPTY="};
    const auto environment = command_environment(exec);
    CHECK(environment_value(environment, "HOME") == "/tmp");
    CHECK(environment_value(environment, "A") == "2=3");
    CHECK(environment_value(environment, "EMPTY").empty());
    CHECK(environment.size() == 8);
    CHECK(environment[0] == "HOME=/tmp");
    CHECK(environment[1] == "USER");
  }

  TEST_CASE("candidates: with a slash → that path only") {
    CHECK(exec_candidates("./run", "/bin") == Texts{"./run"});
    CHECK(exec_candidates("/bin/ls", "") == Texts{"/bin/ls"});
  }

  TEST_CASE("candidates: without a slash → every part of PATH, an empty part is the working directory") {
    CHECK(exec_candidates("ls", "/bin:/usr/bin") == Texts{"/bin/ls", "/usr/bin/ls"});
    CHECK(exec_candidates("ls", ":/bin:") == Texts{"./ls", "/bin/ls", "./ls"});
    CHECK(exec_candidates("ls", "") == Texts{"./ls"});
  }

  TEST_CASE("candidates: longer than a path may be → said so, and the search goes on") {
    const std::string directory(40, 'd');
    CHECK(exec_candidates("ls", directory + ":/bin") == Texts{"too long", "/bin/ls"});
    CHECK(exec_candidates("/" + directory, "") == Texts{"too long"});
    CHECK(exec_candidates("/" + directory.substr(0, 30), "") == Texts{"/" + directory.substr(0, 30)});
    CHECK(exec_candidates("/" + directory.substr(0, 31), "") == Texts{"too long"});
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
