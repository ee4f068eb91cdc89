#include "cli/file_options.hpp"

#include "cli/option_values.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

constexpr std::size_t kIdSize = 12;

CLI::App* add_action(CLI::App* task, FileArguments& arguments, FileTexts& texts, FileAction action, const char* name,
                     const char* help, const char* example) {
  CLI::App* command = task->add_subcommand(name, help);
  add_common(command, arguments.common);
  command->footer(std::string("Example:\n  ") + example);
  command->parse_complete_callback([&arguments, &texts, action] {
    arguments.action = action;
    texts.is_given = true;
  });
  command->add_option("--timeout", texts.timeout, "How long it may take in the guest, or none")->type_name("SECONDS");
  return command;
}

void add_user(CLI::App* command, FileArguments& arguments) {
  command->add_option("-u,--user", arguments.options.user, "Name or number in the guest who does it (root)")
      ->type_name("USER");
}

void add_place(CLI::App* command, FileArguments& arguments, const char* help, bool required = true) {
  command->add_option("ID", arguments.id, "The task")->required();
  command->add_option("PATH", arguments.path, help)->required(required);
  add_user(command, arguments);
}

void add_tree_limits(CLI::App* command, FileArguments& arguments, FileTexts& texts) {
  command->add_option("--max-bytes", texts.max_bytes, "Fail if the files have more together (16G)")->type_name("SIZE");
  command->add_option("--max-entries", arguments.options.max_entries, "Fail if there are more files (1000000)")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
}

void add_limit(CLI::App* command, FileArguments& arguments) {
  command->add_option("--limit", arguments.options.max_entries, "Only so many (1000)")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
}

// "ID:PATH"; a path of this host that looks so needs "./" in front.
bool take_remote(const std::string& text, std::string& id, std::string& path) {
  const auto colon = text.find(':');
  const auto is_id_character = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (colon != kIdSize || !std::all_of(text.begin(), text.begin() + kIdSize, is_id_character)) {
    return false;
  }
  id = text.substr(0, colon);
  path = text.substr(colon + 1);
  return true;
}

std::uint32_t parse_mode(const std::string& text) {
  std::uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode == 0 || mode > 0777) {
    throw Error(ErrorCode::invalid, fmt::format("--mode: \"{}\" is no octal number from 1 to 777", text));
  }
  return mode;
}

}  // namespace

void add_files(CLI::App* task, FileArguments& arguments, FileTexts& texts) {
  const auto add = [&](FileAction action, const char* name, const char* help, const char* example) {
    return add_action(task, arguments, texts, action, name, help, example);
  };
  CLI::App* copy = add(FileAction::copy, "cp", "Copy files into a task or out of it",
                       "pyro task cp ./project k7dq2mxw4zpa:/workspace/project   # a directory, or a file\n"
                       "  pyro task cp k7dq2mxw4zpa:out.log .\n"
                       "  tar c src | pyro task cp - k7dq2mxw4zpa:/workspace       # a tar stream, both ways");
  copy->add_option("FROM", arguments.from, "ID:PATH, a path of this host, or - (a tar on stdin)")->required();
  copy->add_option("TO", arguments.to, "The other one of them; - is a tar on stdout")->required();
  copy->add_flag("-p,--parents", arguments.options.parents, "Make missing directories in the task");
  copy->add_flag("--tar", arguments.options.tar, "The path of this host is, or becomes, an uncompressed tar file");
  add_tree_limits(copy, arguments, texts);
  add_user(copy, arguments);

  CLI::App* list = add(FileAction::list, "ls", "What is in a directory of a task", "pyro task ls k7dq2mxw4zpa src");
  add_place(list, arguments, "The directory (/workspace)", false);
  list->add_flag("-r,--recursive", arguments.options.recursive, "With everything below");
  add_limit(list, arguments);

  CLI::App* cat =
      add(FileAction::cat, "cat", "Print a file of a task, byte for byte", "pyro task cat k7dq2mxw4zpa out.log");
  add_place(cat, arguments, "The file");
  cat->add_option("--max-bytes", texts.max_bytes, "Only so much (all; with --json 1M)")->type_name("SIZE");
  cat->add_option("--offset", arguments.options.offset, "Where to start")->type_name("BYTES");

  add_place(add(FileAction::stat, "stat", "What a path in a task is", "pyro task stat k7dq2mxw4zpa out.log"), arguments,
            "The path");

  CLI::App* make_dir =
      add(FileAction::make_dir, "mkdir", "Make a directory in a task", "pyro task mkdir -p k7dq2mxw4zpa build/logs");
  add_place(make_dir, arguments, "The directory");
  make_dir->add_flag("-p,--parents", arguments.options.parents, "Also those on the way; one that is there is fine");
  make_dir->add_option("--mode", texts.mode, "Permission bits (755)")->type_name("OCTAL");

  CLI::App* remove = add(FileAction::remove, "rm", "Remove a file or an empty directory of a task",
                         "pyro task rm -r k7dq2mxw4zpa build");
  add_place(remove, arguments, "The file");
  remove->add_flag("-r,--recursive", arguments.options.recursive, "A directory with everything in it");

  CLI::App* write = add(FileAction::write, "write", "Write standard input to a file of a task, whole or not at all",
                        "echo hello | pyro task write k7dq2mxw4zpa notes.txt");
  add_place(write, arguments, "The file");
  write->add_flag("-p,--parents", arguments.options.parents, "Make missing directories on the way");
  write->add_flag("--exclusive", arguments.options.exclusive, "Fail if it exists");
  write->add_option("--mode", texts.mode, "Permission bits (those it has, else 644)")->type_name("OCTAL");

  CLI::App* diff = add(FileAction::diff, "diff", "What has changed in /workspace since the task was made",
                       "pyro task diff k7dq2mxw4zpa");
  diff->add_option("ID", arguments.id, "The task")->required();
  add_limit(diff, arguments);

  CLI::App* export_workspace = add(FileAction::export_workspace, "export", "Write all of /workspace to a tar file",
                                   "pyro task export k7dq2mxw4zpa workspace.tar");
  export_workspace->add_option("ID", arguments.id, "The task")->required();
  export_workspace->add_option("FILE", arguments.to, "The tar file, or - for stdout")->required();
  add_tree_limits(export_workspace, arguments, texts);
  add_user(export_workspace, arguments);
}

void understand_files(FileArguments& arguments, const FileTexts& texts, const CLI::App* command) {
  const auto given = [command](const char* option) {
    const CLI::Option* found = command->get_option_no_throw(option);
    return found != nullptr && found->count() != 0;
  };
  if (given("--timeout")) {
    arguments.options.timeout_seconds = parse_seconds("--timeout", texts.timeout);
  }
  if (given("--mode")) {
    arguments.options.mode = parse_mode(texts.mode);
  }
  if (given("--max-bytes")) {
    arguments.options.max_bytes = parse_bytes("--max-bytes", texts.max_bytes);
  }
  if (arguments.action == FileAction::list && !given("PATH")) {
    arguments.path = "/workspace";
  }
  if (arguments.action == FileAction::copy) {
    std::string id;
    std::string path;
    const bool from_task = take_remote(arguments.from, arguments.id, arguments.path);
    const bool to_task = take_remote(arguments.to, id, path);
    if (from_task == to_task) {
      throw Error(ErrorCode::invalid, from_task ? "cp copies between this host and a task, not within tasks"
                                                : "one of FROM and TO must be ID:PATH, with the id of a task");
    }
    (from_task ? arguments.from : arguments.to).clear();
    if (to_task) {
      arguments.id = id;
      arguments.path = path;
    }
    if (arguments.to == "-" && arguments.common.json) {
      throw Error(ErrorCode::invalid, "--json: standard output is for the tar");
    }
  } else if (arguments.action == FileAction::export_workspace && arguments.to == "-" && arguments.common.json) {
    throw Error(ErrorCode::invalid, "--json: standard output is for the tar");
  }
}

}  // namespace pyro::cli
