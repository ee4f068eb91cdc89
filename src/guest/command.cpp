#include "guest/command.hpp"

#include "base/clock.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace pyro::guest {

using base::Result;
using base::Status;

namespace {

// A pipe through which much goes holds what a stream may have under way, so that a command writes on while the link is
// busy.
constexpr int kPipeBytes = static_cast<int>(wire::kWindowBytes);
// The agent runs before any command, so it would wake for every single write of one that writes much, and
// a frame costs the host as much for 1 byte as for 32 KiB. After a small piece it lets the pipe fill for a
// moment; a first or a late piece never waits.
constexpr std::size_t kSmallPieceBytes = 16 * 1024;
constexpr std::int64_t kRestNs = 1'000'000;

// What goes together is told together, unless it takes longer than this: that a command runs with its first output or its
// end, the end of an output with that of its command. Each message costs guest and host more than a short command does.
constexpr std::int64_t kTogetherNs = 10'000'000;

// What a terminal can hold when its session has ended; the kernel's own buffers are smaller.
constexpr std::size_t kMaxTerminalLeftBytes = 256 * 1024;

// Refused where pipes have reached the user's quota, and for terminals: what they hold serves as well.
void enlarge(int pipe) noexcept {
  ::fcntl(pipe, F_SETPIPE_SZ, kPipeBytes);
}

}  // namespace

Result<std::unique_ptr<Command>> Command::start(EventLoop& loop, Link& link, std::uint32_t stream, CommandCgroup cgroup,
                                                wire::Exec exec, const InnerNamespace& inner, DiskSync* disk_sync) {
  std::unique_ptr<Command> command(new Command(loop, link, stream, std::move(cgroup), exec.pty, disk_sync));
  auto launched = [&]() -> Result<Launched> {
    PYRO_TRY_ASSIGN(const Stdio stdio, command->make_streams(exec));
    return launch(std::move(exec), stdio, command->cgroup_, inner);
  }();
  if (!launched.ok()) {
    remove_command_cgroup(command->cgroup_name());
    return std::move(launched).error();
  }
  command->launched_ = std::move(launched).value();
  command->started_ns_ = base::monotonic_ns();
  command->report_rest_until_ns_ = command->started_ns_ + kTogetherNs;
  command->watch_all();
  return command;
}

Result<Stdio> Command::make_streams(const wire::Exec& exec) {
  outputs_[0].channel = wire::Channel::out;
  outputs_[1].channel = wire::Channel::err;
  Stdio stdio;
  if (exec.pty) {
    PYRO_TRY_ASSIGN(Pty pty, open_pty(exec.pty_rows, exec.pty_columns));
    stdio.terminal = std::move(pty.terminal);
    PYRO_TRY_ASSIGN(input_fd_, pty.master.duplicate());
    outputs_[0].fd = std::move(pty.master);
    return stdio;
  }
  PYRO_TRY_ASSIGN(base::FdPair in, base::make_pipe());
  PYRO_TRY_ASSIGN(base::FdPair out, base::make_pipe());
  PYRO_TRY_ASSIGN(base::FdPair err, base::make_pipe());
  stdio.in = std::move(in.first);
  input_fd_ = std::move(in.second);
  outputs_[0].fd = std::move(out.first);
  stdio.out = std::move(out.second);
  outputs_[1].fd = std::move(err.first);
  stdio.err = std::move(err.second);
  for (const int fd : {input_fd_.get(), outputs_[0].fd.get(), outputs_[1].fd.get()}) {
    PYRO_TRY(base::set_nonblocking(fd));
  }
  return stdio;
}

void Command::watch_all() {
  report_watch_ = std::make_unique<Watch>(loop_, launched_.report.get(), [this](std::uint32_t) { on_report(); });
  end_watch_ = std::make_unique<Watch>(loop_, launched_.child.pidfd.get(), [this](std::uint32_t) { on_end(); });
  end_watch_->want(EPOLLIN);
  input_watch_ = std::make_unique<Watch>(loop_, input_fd_.get(), [this](std::uint32_t) { write_input(); });
  for (Output& output : outputs_) {
    if (output.fd.valid()) {
      output.watch =
          std::make_unique<Watch>(loop_, output.fd.get(), [this, &output](std::uint32_t) { read_output(output); });
    }
  }
}

Status Command::on_frame(wire::Frame& frame) {
  const auto broken = [](std::string_view what) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the supervisor sent more {} than it may", what);
  };
  switch (frame.type) {
    case wire::FrameType::data:
      if (!input_.push(std::move(frame.payload), frame.ends_channel())) {
        return broken("input");
      }
      write_input();
      return base::success();
    case wire::FrameType::credit: {
      PYRO_TRY_ASSIGN(const wire::Credit credit, wire::Credit::decode(frame.payload));
      Output& output = outputs_[frame.channel_number() == static_cast<std::uint8_t>(wire::Channel::out) ? 0 : 1];
      return output.credit.grant(credit.bytes) ? base::success() : Status(broken("credit"));
    }
    case wire::FrameType::signal: {
      PYRO_TRY_ASSIGN(const wire::Signal message, wire::Signal::decode(frame.payload));
      signal(message.number);
      return base::success();
    }
    case wire::FrameType::resize: {
      PYRO_TRY_ASSIGN(const wire::Resize size, wire::Resize::decode(frame.payload));
      if (pty_) {
        resize_pty(outputs_[0].fd.get(), size.rows, size.columns);
      }
      return base::success();
    }
    case wire::FrameType::kill:
      cgroup_.kill();
      return base::success();
    default:
      return base::make_error(PYRO_ERROR_INTERNAL, "a command cannot take a frame of type {}",
                              static_cast<unsigned>(frame.type));
  }
}

void Command::write_input() {
  write_queued_input();
  if (pty_ && input_fd_.valid() && input_.finished() && !input_end_queued_) {
    // A terminal has no other end of file; it waits for room as all input does.
    input_end_queued_ = true;
    input_.append_end(end_of_input(input_fd_.get(), input_.at_line_start()));
    write_queued_input();
  }
  if (!input_fd_.valid()) {
    grant_input(input_.discard());
  } else if (input_.front().empty()) {
    input_watch_->want(0);
    if (input_.finished()) {
      close_input();
    }
  }
}

void Command::write_queued_input() {
  while (input_fd_.valid() && !input_.front().empty()) {
    const base::ByteView next = input_.front();
    const ssize_t put = ::write(input_fd_.get(), next.data(), next.size());
    if (put > 0) {
      grant_input(input_.advance(static_cast<std::size_t>(put)));
    } else if (errno == EAGAIN) {
      if (!std::exchange(input_pipe_is_large_, true)) {
        enlarge(input_fd_.get());
        continue;
      }
      input_watch_->want(EPOLLOUT);
      return;
    } else if (errno != EINTR) {
      // EPIPE and the like: the command does not want its input.
      close_input();
    }
  }
}

void Command::close_input() {
  input_watch_->want(0);
  input_fd_.reset();
}

void Command::grant_input(std::uint32_t bytes) {
  if (bytes > 0) {
    link_.send_control(wire::credit_frame(stream_, wire::Channel::in, bytes));
  }
}

std::size_t Command::readable_now(const Output& output) const {
  if (output.ended || link_.full()) {
    return 0;
  }
  const std::size_t most = std::min<std::size_t>(wire::kMaxDataBytes, output.credit.available());
  return std::min(most, output.left_bytes.value_or(most));
}

void Command::read_output(Output& output) {
  const std::size_t limit = readable_now(output);
  if (limit == 0) {
    return;
  }
  if (!wait_status_) {
    on_report();
    if (!reported_) {
      // The echo of what was typed early: told once the program runs.
      report_rest_until_ns_ = 0;
      report_watch_->want(EPOLLIN);
      return;
    }
  }
  std::array<std::byte, wire::kMaxDataBytes> buffer;
  const ssize_t got = ::read(output.fd.get(), buffer.data(), limit);
  if (got < 0 && (errno == EINTR || (errno == EAGAIN && !output.left_bytes))) {
    return;
  }
  if (got <= 0) {
    // End of file, EIO of a terminal without users, or a pipe that somebody else has emptied.
    end_output(output);
    return;
  }
  const auto size = static_cast<std::size_t>(got);
  link_.send_data(wire::data_frame(stream_, output.channel, base::ByteView(buffer).first(size), false));
  output.credit.spend(static_cast<std::uint32_t>(size));
  output.rest_until_ns = size < kSmallPieceBytes ? base::monotonic_ns() + kRestNs : 0;
  if (size >= kSmallPieceBytes && !std::exchange(output.pipe_is_large, true)) {
    enlarge(output.fd.get());
  }
  if (output.left_bytes) {
    *output.left_bytes -= size;
  }
}

void Command::end_output(Output& output) {
  if (output.watch) {
    output.watch->want(0);
  }
  output.fd.reset();
  output.ended = true;
  const std::int64_t now_ns = base::monotonic_ns();
  output.rest_until_ns = now_ns + kTogetherNs;
  // A process that ends closes one after the other; its end is the next to wake for.
  for (Output& other : outputs_) {
    if (!other.ended) {
      other.rest_until_ns = std::max(other.rest_until_ns, now_ns + kRestNs);
    }
  }
}

void Command::tell_end(Output& output) {
  if (!std::exchange(output.end_told, true)) {
    output.rest_until_ns = 0;
    link_.send_data(wire::data_frame(stream_, output.channel, {}, true));
  }
}

void Command::on_report() {
  if (reported_) {
    return;
  }
  auto report = read_report(launched_);
  if (!report) {
    return;
  }
  reported_ = true;
  report_rest_until_ns_ = 0;
  report_watch_->want(0);
  failure_ = std::move(*report);
  if (failure_.failure == wire::ExecFailure::none) {
    launched_.plan.reset();
    link_.send_control(wire::bare_frame(wire::FrameType::started, stream_));
  }
}

void Command::on_end() {
  int status = 0;
  if (wait_status_ || ::waitpid(launched_.child.pid, &status, WNOHANG) != launched_.child.pid) {
    return;
  }
  const std::int64_t now_ns = base::monotonic_ns();
  wait_status_ = status;
  if (disk_sync_ != nullptr) {
    sync_number_ = disk_sync_->request();
  }
  end_watch_->want(0);
  // Both may become ready in one round, in any order.
  on_report();
  duration_ns_ = failure_.failure == wire::ExecFailure::none ? now_ns - started_ns_ : 0;
  usage_ = cgroup_.usage();
  close_input();
  for (Output& output : outputs_) {
    int waiting = 0;
    if (pty_) {
      waiting = static_cast<int>(kMaxTerminalLeftBytes);
    } else if (!output.ended) {
      ::ioctl(output.fd.get(), FIONREAD, &waiting);
    }
    output.left_bytes = static_cast<std::size_t>(std::max(waiting, 0));
  }
}

void Command::update() {
  if (report_rest_until_ns_ != 0 && report_rest_until_ns_ <= base::monotonic_ns()) {
    report_rest_until_ns_ = 0;
    report_watch_->want(EPOLLIN);
  }
  for (Output& output : outputs_) {
    if (!output.ended && (!output.fd.valid() || output.left_bytes == 0U) && (reported_ || wait_status_)) {
      end_output(output);
    }
    // What is left is there already: no need to ask the loop for it.
    while (output.left_bytes && readable_now(output) > 0) {
      read_output(output);
      if (!output.ended && output.left_bytes == 0U) {
        end_output(output);
      }
    }
    if (output.rest_until_ns != 0 && output.rest_until_ns <= base::monotonic_ns()) {
      output.rest_until_ns = 0;
      if (output.ended) {
        tell_end(output);
      }
    }
    if (output.watch && !output.ended) {
      const bool early = !reported_ && report_rest_until_ns_ == 0;
      const bool wait = !output.left_bytes && !early && output.rest_until_ns == 0 && readable_now(output) > 0;
      output.watch->want(wait ? std::uint32_t{EPOLLIN} : 0);
    }
  }
  if (wait_status_ && outputs_[0].ended && outputs_[1].ended && is_on_disk() && !finished_) {
    send_exit();
  }
}

std::optional<int> Command::rest_ms() const {
  std::optional<std::int64_t> first_ns;
  if (report_rest_until_ns_ != 0) {
    first_ns = report_rest_until_ns_;
  }
  for (const Output& output : outputs_) {
    if (output.rest_until_ns != 0) {
      first_ns = std::min(first_ns.value_or(output.rest_until_ns), output.rest_until_ns);
    }
  }
  if (!first_ns) {
    return std::nullopt;
  }
  // Rounded up: a wait that is too short is one more round.
  return static_cast<int>(std::max<std::int64_t>(0, *first_ns - base::monotonic_ns()) / 1'000'000 + 1);
}

void Command::signal(int number) const {
  if (wait_status_) {
    return;
  }
  // A terminal's signal is for the job in its foreground, any other for the group that the command leads.
  pid_t group = 0;
  if (pty_ && ::ioctl(outputs_[0].fd.get(), TIOCGPGRP, &group) == 0 && group > 1 && ::kill(-group, number) == 0) {
    return;
  }
  if (::kill(-launched_.child.pid, number) != 0) {
    // Not a leader yet.
    ::kill(launched_.child.pid, number);
  }
}

void Command::send_exit() {
  for (Output& output : outputs_) {
    tell_end(output);
  }
  wire::Exit exit;
  if (failure_.failure != wire::ExecFailure::none) {
    exit.failure = failure_.failure;
    exit.status = failure_.status;
    exit.message = failure_.message;
    exit.exit_code = static_cast<int>(failure_.failure);
  } else if (WIFSIGNALED(*wait_status_)) {
    exit.term_signal = WTERMSIG(*wait_status_);
    exit.exit_code = 128 + exit.term_signal;
  } else {
    exit.exit_code = WEXITSTATUS(*wait_status_);
  }
  exit.oom_killed = usage_.oom_killed;
  exit.cpu_time_ms = usage_.cpu_time_ms;
  exit.memory_peak_bytes = usage_.memory_peak_bytes;
  exit.duration_ms = static_cast<std::uint64_t>(duration_ns_ / 1'000'000);
  // As data: it follows what the command wrote.
  link_.send_data(wire::message_frame(wire::FrameType::exit, stream_, exit));
  finished_ = true;
}

}  // namespace pyro::guest
