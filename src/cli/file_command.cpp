#include "cli/file_command.hpp"

#include "cli/file_text.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/wait.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

// One operation between this program's standard streams and the guest.
class Piping {
 public:
  Piping(FileOperation operation, Signals& signals, bool reads_stdin)
      : operation_(std::move(operation)), signals_(signals), reads_stdin_(reads_stdin) {}

  /// Gives the exit code; what fails in the guest is thrown.
  int drive() {
    while (true) {
      push_input();
      while (!out_.pending() && !operation_.ended()) {
        const Event* event = operation_.next(std::chrono::milliseconds(0));
        if (event == nullptr) {
          break;
        }
        if (event->kind == EventKind::stdout_data) {
          out_.offer(event->data);
        }
        if (const int error = out_.flush()) {
          return failed_write(error);
        }
      }
      if (const int error = out_.flush()) {
        return failed_write(error);
      }
      if (operation_.ended() && !out_.pending()) {
        return 0;
      }
      push_input();
      wait();
      while (const auto number = signals_.take()) {
        if (*number != SIGWINCH && *number != SIGCONT) {
          return 128 + *number;
        }
      }
    }
  }

  FileResult result() { return operation_.result(); }

 private:
  static int failed_write(int error) {
    if (error == EPIPE) {
      return kExitBrokenPipe;
    }
    say(fmt::format("cannot write to standard output: {}", std::strerror(error)));
    return kExitFailed;
  }

  [[nodiscard]] bool wants_to_read() const noexcept { return reads_stdin_ && begin_ == size_; }

  void push_input() {
    try {
      if (reads_stdin_ && begin_ < size_) {
        begin_ += operation_.write_stdin(std::string_view(buffer_.data() + begin_, size_ - begin_));
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::state) {
        throw;
      }
      reads_stdin_ = false;  // it has ended, and its last event says why
    }
  }

  void read_input() {
    const ssize_t got = ::read(STDIN_FILENO, buffer_.data(), buffer_.size());
    if (got < 0) {
      if (errno == EINTR || errno == EAGAIN) {
        return;
      }
      // Half a file is none: the operation ends without being complete.
      throw Error(ErrorCode::invalid, fmt::format("cannot read standard input: {}", std::strerror(errno)));
    }
    begin_ = 0;
    size_ = static_cast<std::size_t>(got);
    if (got == 0) {
      reads_stdin_ = false;
      operation_.close_stdin();
    }
  }

  void wait() {
    std::array<pollfd, 3> entries{{{signals_.fd(), POLLIN, 0}, {operation_.fd(), POLLIN, 0}, {-1, POLLIN, 0}}};
    if (out_.pending()) {
      entries[1] = out_.poll_entry();
    } else if (wants_to_read()) {
      entries[2].fd = STDIN_FILENO;
    }
    ::poll(entries.data(), entries.size(), -1);
    if (entries[2].revents != 0) {
      read_input();
    }
  }

  FileOperation operation_;
  Signals& signals_;
  bool reads_stdin_;
  Output out_{STDOUT_FILENO};
  std::array<char, 65536> buffer_;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
};

int pipe(FileOperation operation, Signals& signals, bool reads_stdin, const FileArguments& arguments) {
  Piping piping(std::move(operation), signals, reads_stdin);
  const int exit_code = piping.drive();
  if (exit_code != 0 || !reads_stdin || !arguments.common.json) {
    return exit_code;
  }
  return print(piping.result().json);
}

int show_file(const Pyro& pyro, const FileArguments& arguments, Signals& signals, ProgressDisplay& progress) {
  if (!arguments.common.json) {
    return pipe(pyro.start_read_file(arguments.id, arguments.path, arguments.options), signals, false, arguments);
  }
  FileOptions options = arguments.options;
  options.max_bytes = options.max_bytes == 0 ? std::uint64_t{1} << 20 : options.max_bytes;
  FileOperation operation = pyro.start_read_file(arguments.id, arguments.path, options);
  wait_to_end(operation, signals, progress, [&operation](const Event& event) { operation.collect(event); });
  const FileResult result = operation.result();
  JsonObject object;
  object.add("task_id", arguments.id).add("path", arguments.path);
  object.add("data", result.data);
  if (!is_utf8(result.data)) {
    object.add("data_base64", base64(result.data));
  }
  object.add("truncated", result.truncated).add("file_size_bytes", result.file_size_bytes);
  return print(object.str());
}

FileOperation start(const Pyro& pyro, const FileArguments& arguments) {
  const FileOptions& options = arguments.options;
  switch (arguments.action) {
    case FileAction::copy:
      return arguments.from.empty() ? pyro.start_download(arguments.id, arguments.path, arguments.to, options)
                                    : pyro.start_upload(arguments.id, arguments.from, arguments.path, options);
    case FileAction::list:
      return pyro.start_list_files(arguments.id, arguments.path, options);
    case FileAction::stat:
      return pyro.start_stat_file(arguments.id, arguments.path, options);
    case FileAction::make_dir:
      return pyro.start_make_dir(arguments.id, arguments.path, options);
    case FileAction::remove:
      return pyro.start_remove_file(arguments.id, arguments.path, options);
    case FileAction::diff:
      return pyro.start_diff_task(arguments.id, options);
    case FileAction::export_workspace:
      return pyro.start_export_task(arguments.id, arguments.to, options);
    case FileAction::cat:
    case FileAction::write:
      break;
  }
  throw Error(ErrorCode::internal, "pyro task: an action without a meaning");
}

void say_what_is_missing(const FileArguments& arguments, const FileResult& result) {
  if (arguments.common.quiet) {
    return;
  }
  if (result.truncated) {
    say(fmt::format("there are more: these are the first {} (--limit)", result.files.size()));
  }
  if (result.skipped_count != 0) {
    say(fmt::format("left out, since they are no files, directories or links: {}", result.skipped_count));
  }
  if (result.changed_count != 0) {
    say(fmt::format("files that changed while they were read: {}", result.changed_count));
  }
}

int run_action(const Pyro& pyro, const FileArguments& arguments, Signals& signals) {
  ProgressDisplay progress(arguments.common.quiet || arguments.common.json);
  const FileOptions& options = arguments.options;
  if (arguments.action == FileAction::cat) {
    return show_file(pyro, arguments, signals, progress);
  }
  if (arguments.action == FileAction::write) {
    return pipe(pyro.start_write_file(arguments.id, arguments.path, options), signals, true, arguments);
  }
  if (arguments.from == "-") {
    return pipe(pyro.start_upload_tar(arguments.id, arguments.path, options), signals, true, arguments);
  }
  if (arguments.to == "-") {
    FileOperation operation = arguments.action == FileAction::export_workspace
                                  ? pyro.start_export_task(arguments.id, {}, options)
                                  : pyro.start_download(arguments.id, arguments.path, {}, options);
    return pipe(std::move(operation), signals, false, arguments);
  }
  const FileResult result = wait_for(start(pyro, arguments), signals, progress);
  say_log(pyro, arguments.common);
  if (arguments.common.json) {
    return print(result.json);
  }
  const std::string text = arguments.action == FileAction::diff ? change_lines(result.files) : file_lines(result.files);
  const int exit_code = text.empty() ? 0 : print(text);
  say_what_is_missing(arguments, result);
  return exit_code;
}

}  // namespace

int file_command(const FileArguments& arguments, Signals& signals) {
  const Pyro pyro = open_pyro(arguments.common);
  try {
    return run_action(pyro, arguments, signals);
  } catch (const Error&) {
    say_log(pyro, arguments.common);
    throw;
  }
}

}  // namespace pyro::cli
