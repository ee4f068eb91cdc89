#include "guest/launch.hpp"

#include "base/io.hpp"
#include "base/text.hpp"
#include "guest/boot.hpp"
#include "guest/exec_plan.hpp"
#include "guest/file_tool.hpp"
#include "guest/files.hpp"
#include "guest/pty.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pyro::guest {

using base::Result;
using base::Status;
using wire::ExecFailure;

namespace {

// A report is one atomic write: failure, status, then the message.
constexpr std::size_t kMaxReportBytes = PIPE_BUF;
constexpr std::size_t kReportHeadBytes = 5;
// Accounts of a guest are few; a file beyond this is not a passwd.
constexpr std::size_t kMaxAccountsBytes = 1024 * 1024;
// A name as an error message quotes it.
constexpr std::size_t kMaxShownBytes = 200;
constexpr rlim_t kOpenFilesSoft = 1024;
constexpr rlim_t kOpenFilesHard = 1024 * 1024;

[[noreturn]] void give_up(ExecFailure failure, pyro_status status, std::string_view message) {
  base::ByteWriter report;
  report.u8(static_cast<std::uint8_t>(failure));
  report.i32(status);
  report.raw(base::as_bytes(message.substr(0, kMaxReportBytes - kReportHeadBytes)));
  [[maybe_unused]] const ssize_t put = ::write(kReportFd, report.view().data(), report.view().size());
  ::_exit(static_cast<int>(failure));
}

[[noreturn]] void give_up(const base::Error& error) {
  give_up(ExecFailure::other, error.code, error.message);
}

void require(const Status& status) {
  if (!status.ok()) {
    give_up(status.error());
  }
}

void require(bool done, const char* what) {
  if (!done) {
    give_up(base::errno_error(errno, what));
  }
}

// Standard streams in place, the report next to them, then `extra` (-1: none), and nothing else of the agent's.
void place_descriptors(int in, int out, int err, int extra) {
  require(::dup2(in, 0) == 0 && ::dup2(out, 1) == 1 && ::dup2(err, 2) == 2, "cannot set up the standard streams");
  unsigned next = kReportFd + 1;
  if (extra >= 0) {
    require(::dup2(extra, kFileToolFd) == kFileToolFd, "cannot set up a file tool's descriptor");
    next = kFileToolFd + 1;
  }
  require(::close_range(next, ~0U, 0) == 0, "cannot close the agent's descriptors");
}

void reset_process_state() {
  // SIGPIPE is the only signal that the agent ignores.
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::umask(022);
  const rlimit files{kOpenFilesSoft, kOpenFilesHard};
  const rlimit core{0, RLIM_INFINITY};
  ::setrlimit(RLIMIT_NOFILE, &files);
  ::setrlimit(RLIMIT_CORE, &core);
}

Account become(const wire::Exec& exec) {
  const base::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  auto account = resolve_account(exec.user, read_file_in(root.get(), "etc/passwd", kMaxAccountsBytes),
                                 read_file_in(root.get(), "etc/group", kMaxAccountsBytes));
  if (!account.ok()) {
    give_up(account.error());
  }
  if (exec.pty) {
    ::fchown(0, account->uid, static_cast<gid_t>(-1));
  }
  // System calls, not the library's functions: those signal the threads that the library still knows from the agent,
  // by their numbers there, and one of them may be our own number in here.
  require(::syscall(SYS_setgroups, account->groups.size(), account->groups.data()) == 0 &&
              ::syscall(SYS_setgid, account->gid) == 0 && ::syscall(SYS_setuid, account->uid) == 0,
          "cannot become the user");
  return std::move(account).value();
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (auto& text : texts) {
    out.push_back(text.data());
  }
  out.push_back(nullptr);
  return out;
}

// Returns only if `file` could not be executed; errno says why.
void execute(std::string& file, std::vector<std::string>& argv, std::vector<char*>& environment) {
  auto arguments = pointers(argv);
  ::execve(file.c_str(), arguments.data(), environment.data());
  if (errno == ENOEXEC) {
    // A script without "#!": for the shell, as execvp(3) has it.
    std::string shell = "/bin/sh";
    arguments[0] = file.data();
    arguments.insert(arguments.begin(), shell.data());
    ::execve(shell.c_str(), arguments.data(), environment.data());
    errno = ENOEXEC;
  }
}

[[noreturn]] void execute_command(wire::Exec& exec, const Account& account) {
  auto environment = command_environment(exec, account);
  auto environment_pointers = pointers(environment);
  int why = ENOENT;
  for (auto& file : exec_candidates(exec.argv[0], environment_value(environment, "PATH"))) {
    execute(file, exec.argv, environment_pointers);
    // A program that was found but may not be run says more than one that is not in the next directory.
    if (why == ENOENT || errno == EACCES || !search_goes_on(errno)) {
      why = errno;
    }
    if (!search_goes_on(errno)) {
      break;
    }
  }
  const ExecFailure failure = exec_failure(why);
  std::string reason = base::errno_text(why);
  if (failure == ExecFailure::not_found) {
    const bool exists = exec.argv[0].find('/') != std::string::npos && ::access(exec.argv[0].c_str(), F_OK) == 0;
    reason = exists ? "the interpreter that it names does not exist" : "not found";
  }
  give_up(failure, PYRO_OK,
          fmt::format("cannot run \"{}\": {}", base::printable(exec.argv[0], kMaxShownBytes), reason));
}

[[noreturn]] void run_child(wire::Exec exec, const Stdio& stdio, int report, const InnerNamespace& inner) {
  ::dup3(report, kReportFd, O_CLOEXEC);
  // While /proc is still the agent's.
  (void)write_file("/proc/self/oom_score_adj", "0");
  std::optional<wire::FileRequest> file_request;
  base::Fd extra;
  if (!exec.file_request.empty()) {
    auto decoded = wire::FileRequest::decode(exec.file_request);
    if (!decoded.ok()) {
      give_up(decoded.error());
    }
    file_request = std::move(decoded).value();
    extra = open_for_file_tool(*file_request);
  }
  require(inner.enter());
  ::setsid();
  if (exec.pty) {
    auto terminal = adopt_terminal(stdio.terminal.get());
    if (!terminal.ok()) {
      give_up(terminal.error());
    }
    place_descriptors(terminal->get(), terminal->get(), terminal->get(), -1);
    (void)terminal->release();
  } else {
    place_descriptors(stdio.in.get(), stdio.out.get(), stdio.err.get(), extra.get());
    (void)extra.release();
  }
  reset_process_state();
  const Account account = become(exec);
  if (::chdir(exec.cwd.empty() ? "/workspace" : exec.cwd.c_str()) != 0) {
    give_up(base::make_error(PYRO_ERROR_INVALID, "cannot enter the working directory \"{}\": {}",
                             base::printable(exec.cwd, kMaxShownBytes), base::errno_text(errno)));
  }
  if (file_request) {
    // As if something was executed: the report ends without a word.
    ::close(kReportFd);
    run_file_tool(*file_request);
  }
  execute_command(exec, account);
}

}  // namespace

Result<Launched> launch(const wire::Exec& exec, const Stdio& stdio, const CommandCgroup& cgroup,
                        const InnerNamespace& inner) {
  PYRO_TRY_ASSIGN(base::FdPair report, base::make_pipe());
  PYRO_TRY(base::set_nonblocking(report.first.get()));
  Launched launched;
  PYRO_TRY_ASSIGN(launched.child, inner.fork_command(cgroup.fd()));
  if (launched.child.is_me()) {
    run_child(exec, stdio, report.second.get(), inner);
  }
  launched.report = std::move(report.first);
  return launched;
}

std::optional<LaunchFailure> read_report(int report) {
  std::array<std::byte, kMaxReportBytes> buffer;
  const ssize_t got = ::read(report, buffer.data(), buffer.size());
  if (got < 0) {
    return std::nullopt;
  }
  LaunchFailure result;
  if (got > 0) {
    base::ByteReader reader(base::ByteView(buffer).first(static_cast<std::size_t>(got)));
    result.failure = static_cast<ExecFailure>(reader.u8());
    result.status = static_cast<pyro_status>(reader.i32());
    result.message = base::as_text(reader.raw(reader.remaining()));
  }
  return result;
}

}  // namespace pyro::guest
