#include "cli/command_line.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace pyro::cli {
namespace {

CommandLine parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "pyro");
  std::vector<char*> argv;
  for (std::string& argument : arguments) {
    argv.push_back(argument.data());
  }
  return parse_command_line(static_cast<int>(argv.size()), argv.data());
}

std::string refusal(std::vector<std::string> arguments) {
  const CommandLine parsed = parse(std::move(arguments));
  REQUIRE(std::holds_alternative<Answer>(parsed));
  CHECK(std::get<Answer>(parsed).exit_code == kExitFailed);
  return std::get<Answer>(parsed).text;
}

}  // namespace

TEST_SUITE_BEGIN("cli");

TEST_CASE("command line: everything behind -- -> the command, byte for byte") {
  const std::vector<std::string> command{"printf", "", "--", "-x", "[a,b]", "{}", "\xff\n'\"", "--json"};
  std::vector<std::string> arguments{"run", "--timeout", "2", "debian:12", "--"};
  arguments.insert(arguments.end(), command.begin(), command.end());
  const auto run = std::get<RunArguments>(parse(arguments));
  CHECK(run.options.environment == "debian:12");
  CHECK(run.options.command.argv() == command);
  CHECK_FALSE(run.options.command.shell_line());
  CHECK(run.options.timeout_seconds.count() == 2.0);
  CHECK_FALSE(run.common.json);
}

TEST_CASE("command line: options before and after the environment -> the same") {
  for (const auto& arguments :
       {std::vector<std::string>{"run", "-e", "A=1", "--env", "B=[x,y]", "--json", "e", "-c", "ls"},
        std::vector<std::string>{"run", "e", "-e", "A=1", "--env=B=[x,y]", "--json", "-c", "ls"}}) {
    const auto run = std::get<RunArguments>(parse(arguments));
    CHECK(run.options.environment == "e");
    CHECK(run.options.command.shell_line() == "ls");
    CHECK(run.options.env == std::map<std::string, std::string>{{"A", "1"}, {"B", "[x,y]"}});
    CHECK(run.common.json);
  }
}

TEST_CASE("command line: task cp -> which side is the task, and which way") {
  const auto up = std::get<FileArguments>(parse({"task", "cp", "-p", "./dir", "k7dq2mxw4zpa:/workspace/a:b"}));
  CHECK(up.action == FileAction::copy);
  CHECK(up.id == "k7dq2mxw4zpa");
  CHECK(up.from == "./dir");
  CHECK(up.to.empty());
  CHECK(up.path == "/workspace/a:b");
  CHECK(up.options.parents);
  const auto down = std::get<FileArguments>(
      parse({"task", "cp", "--max-bytes", "2G", "k7dq2mxw4zpa:out", "-", "--max-entries", "7"}));
  CHECK(down.from.empty());
  CHECK(down.to == "-");
  CHECK(down.path == "out");
  CHECK(down.options.max_bytes == std::uint64_t{2} << 30);
  CHECK(down.options.max_entries == 7);
  CHECK(refusal({"task", "cp", "a", "b"}).find("ID:PATH") != std::string::npos);
  CHECK(refusal({"task", "cp", "k7dq2mxw4zpa:a", "k7dq2mxw4zpa:b"}).find("between") != std::string::npos);
  CHECK(refusal({"task", "cp", "./k7dq2mxw4zpa:a", "b"}).find("ID:PATH") != std::string::npos);
  CHECK(refusal({"task", "cp", "--json", "k7dq2mxw4zpa:a", "-"}).find("--json") != std::string::npos);
}

TEST_CASE("command line: other calls about files of a task -> their options") {
  const auto write = std::get<FileArguments>(
      parse({"task", "write", "--mode", "640", "--exclusive", "k7dq2mxw4zpa", "notes.txt", "--timeout", "none"}));
  CHECK(write.action == FileAction::write);
  CHECK(write.options.mode == 0640);
  CHECK(write.options.exclusive);
  CHECK(write.options.timeout_seconds.count() == kNoTimeout.count());
  CHECK(std::get<FileArguments>(parse({"task", "ls", "k7dq2mxw4zpa"})).path == "/workspace");
  CHECK(std::get<FileArguments>(parse({"task", "ls", "-r", "k7dq2mxw4zpa", "a"})).options.recursive);
  CHECK(std::get<FileArguments>(parse({"task", "export", "k7dq2mxw4zpa", "-"})).to == "-");
  CHECK(std::get<TaskArguments>(parse({"task", "create", "--seed", "dir", "e"})).options.seed == "dir");
  for (const char* mode : {"0", "1000", "8", "x", "-1", ""}) {
    CHECK(refusal({"task", "mkdir", "--mode", mode, "k7dq2mxw4zpa", "d"}).find("--mode") != std::string::npos);
  }
}

TEST_CASE("command line: sizes and engine -> the library's options, 0 where nothing was said") {
  const auto given = std::get<RunArguments>(
      parse({"run", "--cpus", "2", "--memory", "2G", "--disk-mib", "64", "--engine", "software", "e", "--", "x"}));
  CHECK(given.options.vcpu_count == 2);
  CHECK(given.options.mem_mib == 2048);
  CHECK(given.options.disk_mib == 64);
  CHECK(given.options.engine == Engine::software);
  const auto plain = std::get<RunArguments>(parse({"run", "e", "--", "x"}));
  CHECK(plain.options.vcpu_count == 0);
  CHECK(plain.options.timeout_seconds.count() == 0.0);
  CHECK(plain.options.engine == Engine::automatic);
}

TEST_CASE("command line: -t -> a terminal with a type, and standard input") {
  const auto run = std::get<RunArguments>(parse({"run", "-t", "e", "--", "sh"}));
  CHECK(run.options.pty);
  CHECK(run.options.stdin_stream);
  CHECK(run.options.env.count("TERM") == 1);
  CHECK(std::get<RunArguments>(parse({"run", "-t", "-e", "TERM=dumb", "e", "--", "sh"})).options.env.at("TERM") ==
        "dumb");
  CHECK_FALSE(std::get<RunArguments>(parse({"run", "-n", "e", "--", "sh"})).options.stdin_stream);
}

TEST_CASE("command line: what makes no sense -> exit code 125 and what to do") {
  CHECK(refusal({"run", "debian:12", "git", "--version"}).find("after --") != std::string::npos);
  CHECK(refusal({"run", "debian:12"}).find("no command") != std::string::npos);
  CHECK(refusal({"run", "debian:12", "--"}).find("no command") != std::string::npos);
  CHECK(refusal({"run", "-c", "ls", "debian:12", "--", "ls"}).find("-c") != std::string::npos);
  CHECK(refusal({"run", "--timeout", "0", "e", "--", "x"}).find("--timeout") != std::string::npos);
  CHECK(refusal({"run", "--cwd", "", "e", "--", "x"}).find("--cwd") != std::string::npos);
  CHECK(refusal({"run", "-t", "--json", "e", "--", "x"}).find("--json") != std::string::npos);
  CHECK(refusal({"run", "-i", "-n", "e", "--", "x"}).find("-n") != std::string::npos);
  CHECK(refusal({"fly"}).find("\"fly\"") != std::string::npos);
  CHECK(refusal({"env", "build"}).find("NAME") != std::string::npos);
  CHECK_FALSE(refusal({}).empty());
}

TEST_CASE("command line: env -> what to do and with what") {
  const auto import = std::get<EnvArguments>(parse({"env", "import", "tools", "./rootfs.tar", "--json"}));
  CHECK(import.action == EnvAction::import_environment);
  CHECK(import.name == "tools");
  CHECK(import.path == "./rootfs.tar");
  CHECK(import.common.json);
  const auto prune = std::get<EnvArguments>(parse({"env", "prune", "--all"}));
  CHECK(prune.action == EnvAction::prune);
  CHECK(prune.all);
  CHECK(prune.name.empty());
  CHECK(std::get<EnvArguments>(parse({"env", "inspect", "--verify", "e"})).verify);
  CHECK(std::get<EnvArguments>(parse({"env", "build", "--force", "e"})).force);
}

TEST_CASE("command line: task -> what to do, with which task and with what") {
  const auto create = std::get<TaskArguments>(
      parse({"task", "create", "-l", "a=b=c", "--label", "d=", "--ttl", "none", "--memory", "2G", "debian:12"}));
  CHECK(create.action == TaskAction::create);
  CHECK(create.options.environment == "debian:12");
  CHECK(create.options.labels == std::map<std::string, std::string>{{"a", "b=c"}, {"d", ""}});
  CHECK(create.options.ttl_seconds.count() == kNoTimeout.count());
  CHECK(create.options.mem_mib == 2048);

  const auto exec =
      std::get<RunArguments>(parse({"task", "exec", "-d", "--timeout", "5", "k7dq2mxw4zpa", "--", "ls", "-d"}));
  CHECK(exec.task_id == "k7dq2mxw4zpa");
  CHECK(exec.detach);
  CHECK_FALSE(exec.is_vm);
  CHECK(exec.options.command.argv() == std::vector<std::string>{"ls", "-d"});
  CHECK(std::get<RunArguments>(parse({"vm", "exec", "k7dq2mxw4zpa", "-c", "true"})).is_vm);

  const auto list = std::get<TaskArguments>(parse({"task", "list", "-s", "running", "--state", "failed"}));
  CHECK(list.filter.states == std::vector<TaskState>{TaskState::running, TaskState::failed});
  const auto logs = std::get<TaskArguments>(parse({"task", "logs", "-f", "k7dq2mxw4zpa", "3"}));
  CHECK(logs.follow);
  CHECK(logs.logs.command_number == 3);
  CHECK(std::get<TaskArguments>(parse({"vm", "delete", "k7dq2mxw4zpa"})).is_vm);
}

TEST_CASE("command line: task with what makes no sense -> exit code 125 and what to do") {
  CHECK(refusal({"task"}).find("--help") != std::string::npos);
  CHECK(refusal({"task", "exec", "k7dq2mxw4zpa"}).find("no command") != std::string::npos);
  CHECK(std::get<RunArguments>(parse({"task", "exec", "-d", "-i", "k7dq2mxw4zpa", "-c", "x"})).keep_stdin);
  CHECK(refusal({"task", "list", "--state", "asleep"}).find("running") != std::string::npos);
  CHECK(refusal({"task", "create", "--label", "novalue", "debian:12"}).find("NAME=VALUE") != std::string::npos);
  CHECK(refusal({"task", "logs", "k7dq2mxw4zpa", "0"}).find("NUMBER") != std::string::npos);
  CHECK(refusal({"task", "ttl", "k7dq2mxw4zpa"}).find("SECONDS") != std::string::npos);
}

TEST_CASE("command line: --help of every command -> exit code 0, with an example") {
  for (const auto& command : {std::vector<std::string>{},
                              {"run"},
                              {"env"},
                              {"env", "list"},
                              {"env", "build"},
                              {"env", "inspect"},
                              {"env", "import"},
                              {"env", "export"},
                              {"env", "prune"},
                              {"env", "pull"},
                              {"task"},
                              {"task", "create"},
                              {"task", "exec"},
                              {"task", "status"},
                              {"task", "list"},
                              {"task", "logs"},
                              {"task", "stop"},
                              {"task", "start"},
                              {"task", "ttl"},
                              {"task", "delete"},
                              {"task", "reap"},
                              {"vm"},
                              {"vm", "create"},
                              {"vm", "exec"},
                              {"vm", "delete"},
                              {"doctor"}}) {
    std::vector<std::string> arguments = command;
    arguments.emplace_back("--help");
    const auto answer = std::get<Answer>(parse(arguments));
    CHECK(answer.exit_code == 0);
    CHECK(answer.text.find("Example") != std::string::npos);
    CHECK(answer.text.find("\n  pyro ") != std::string::npos);
  }
}

TEST_SUITE_END();

}  // namespace pyro::cli
