#include "image/command.hpp"

#include "base/search_path.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <deque>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace pyro::image {

namespace {

/// What a user gets to see of a program that failed: its last lines, or its errors if it marks them.
constexpr std::size_t kTailLines = 3;
constexpr std::size_t kMaxMessageBytes = 600;
/// A longer line is cut: it only feeds progress and messages.
constexpr std::size_t kMaxLineBytes = 4096;

/// A user's PATH often lacks the system folders where mke2fs and the tools of mmdebstrap are.
std::string search_path() {
  const char* path = std::getenv("PATH");
  const std::string system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  return path != nullptr && *path != '\0' ? std::string(path) + ":" + system : system;
}

std::string find_program(const std::string& program) {
  return base::find_in_path(search_path(), program);
}

class LineSplitter {
 public:
  explicit LineSplitter(std::function<void(std::string_view)> on_line) : on_line_(std::move(on_line)) {}
  void feed(std::string_view bytes) {
    for (const char c : bytes) {
      if (c == '\n' || c == '\r') {
        flush();
      } else if (line_.size() < kMaxLineBytes) {
        line_ += c;
      }
    }
  }
  void flush() {
    if (!line_.empty()) {
      on_line_(line_);
      line_.clear();
    }
  }

 private:
  std::function<void(std::string_view)> on_line_;
  std::string line_;
};

/// After fork(): never returns.
[[noreturn]] void execute(const Command& command, const std::string& program, int output) {
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) {
    ::signal(signal_number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(command.stdout_fd >= 0 ? command.stdout_fd : output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::setenv("PATH", search_path().c_str(), 1);
  for (const auto& [name, value] : command.env) {
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  std::vector<char*> argv;
  for (const std::string& argument : command.argv) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  ::_exit(127);
}

/// What is remembered of a program's words in case that it fails.
class LastWords {
 public:
  void line(std::string_view line) {
    full_disk_ = full_disk_ || mentions_full_disk(line);
    // apt and mmdebstrap begin errors so; the first is the cause.
    if (line.starts_with("E: ")) {
      errors_.emplace_back(line.substr(3));
      errors_.resize(std::min(errors_.size(), kTailLines));
    }
    tail_.emplace_back(line);
    if (tail_.size() > kTailLines) {
      tail_.pop_front();
    }
  }
  [[nodiscard]] base::Error failure(const std::string& program, int status) const {
    const std::string how = WIFSIGNALED(status) ? fmt::format("was killed by signal {}", WTERMSIG(status))
                                                : fmt::format("failed with exit code {}", WEXITSTATUS(status));
    std::string text =
        errors_.empty() ? fmt::format("{}", fmt::join(tail_, "; ")) : fmt::format("{}", fmt::join(errors_, "; "));
    text.resize(std::min(text.size(), kMaxMessageBytes));
    base::Error error =
        base::make_error(PYRO_ERROR_ENVIRONMENT, "{} {}{}{}", program, how, text.empty() ? "" : ": ", text);
    if (full_disk_) {
      error.code = PYRO_ERROR_LIMIT;
      error.sys_errno = ENOSPC;
    }
    return error;
  }

 private:
  bool full_disk_ = false;
  std::deque<std::string> tail_;
  std::vector<std::string> errors_;
};

}  // namespace

bool mentions_full_disk(std::string_view text) {
  return text.find("No space left on device") != std::string_view::npos ||
         text.find("Disk quota exceeded") != std::string_view::npos ||
         text.find("not enough free space") != std::string_view::npos ||
         text.find("don't have enough free space") != std::string_view::npos;
}

base::Status require_tool(const std::string& program, const std::string& package) {
  if (find_program(program).empty()) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "the program {} is missing: install it with apt-get install {}",
                            program, package);
  }
  return base::success();
}

base::Result<pid_t> fork_child(const std::function<int()>& body) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    return base::errno_error(errno, "cannot start a process");
  }
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The parent may have died before the call above.
    if (::getppid() != parent) {
      ::_exit(1);
    }
    ::_exit(body());
  }
  return pid;
}

int wait_for_child(pid_t pid) {
  while (true) {
    int status = 0;
    const pid_t ended = ::waitpid(::getpid() == 1 ? -1 : pid, &status, 0);
    if (ended == pid) {
      return status;
    }
    if (ended < 0 && errno != EINTR) {
      // As PID 1: it ended while another child was waited for. Who needs to know how it ended uses a pipe.
      return 0;
    }
  }
}

base::Status run_tool(const Command& command) {
  const std::string& name = command.argv.front();
  const std::string program = find_program(name);
  if (program.empty()) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "the program {} is missing", name);
  }
  PYRO_TRY_ASSIGN(base::FdPair output, base::make_pipe());
  PYRO_TRY_ASSIGN(const pid_t pid, fork_child([&]() -> int { execute(command, program, output.second.get()); }));
  output.second.reset();

  LastWords last_words;
  LineSplitter lines([&](std::string_view line) {
    last_words.line(line);
    if (command.on_line) {
      command.on_line(line);
    }
  });
  std::array<char, 16384> buffer;
  while (true) {
    const ssize_t got = ::read(output.first.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      break;
    }
    lines.feed({buffer.data(), static_cast<std::size_t>(got)});
  }
  lines.flush();
  const int status = wait_for_child(pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    return base::success();
  }
  return last_words.failure(name, status);
}

}  // namespace pyro::image
