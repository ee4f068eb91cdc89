#include "guest/agent.hpp"

#include "base/build_id.hpp"
#include "base/clock.hpp"
#include "guest/devices.hpp"
#include "guest/personalise.hpp"

#include <algorithm>
#include <utility>

#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pyro::guest {

using base::Status;

namespace {

// A host that asks on and on and does not read the answers is broken.
constexpr std::size_t kMaxPendingBytes = 4 * 1024 * 1024;
// Processes end within milliseconds of SIGKILL, unless a broken device holds them.
constexpr std::int64_t kEndDeadlineMs = 2000;
// After ready: most VMs of one command have ended by then.
constexpr std::int64_t kIdleDriversMs = 3000;
constexpr useconds_t kEndPollUs = 1000;
constexpr useconds_t kReconnectPollUs = 1000;

}  // namespace

Status Agent::serve() {
  wire::Hello hello;
  hello.build_id = base::build_id();
  link_.send_control(wire::message_frame(wire::FrameType::hello, 0, hello));

  Status received = base::success();
  Watch port(loop_, link_.fd(), [&](std::uint32_t events) {
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
      received = receive();
    }
  });
  while (true) {
    int timeout_ms = idle_drivers_at_ms_
                         ? static_cast<int>(std::max<std::int64_t>(*idle_drivers_at_ms_ - base::monotonic_ms(), 0))
                         : -1;
    for (const auto& [stream, command] : commands_) {
      command->update();
      if (const auto rest_ms = command->rest_ms()) {
        timeout_ms = timeout_ms < 0 ? *rest_ms : std::min(timeout_ms, *rest_ms);
      }
    }
    const bool was_full = link_.full();
    PYRO_TRY(link_.flush());
    drop_finished();
    if (was_full && !link_.full()) {
      // Outputs that were held back for this may go on.
      continue;
    }
    if (disk_sync_ && disk_sync_->has_failed()) {
      // No exit may be told any more: its command's work is not safe.
      return base::make_error(PYRO_ERROR_LIMIT,
                              "what commands wrote cannot be put on the disk: is the host's disk full?");
    }
    if (inner_ended_) {
      PYRO_TRY(renew_inner_namespace());
      continue;
    }
    if (power_off_) {
      return base::success();
    }
    load_idle_drivers_when_due();
    if (link_.pending_bytes() > kMaxPendingBytes) {
      return base::make_error(PYRO_ERROR_INTERNAL, "the supervisor does not read what it asks for");
    }
    if (held_exec_) {
      port.want(link_.pending_bytes() > 0 ? std::uint32_t{EPOLLOUT} : 0);
    } else {
      port.want(link_.pending_bytes() > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
    loop_.run_once(timeout_ms);
    PYRO_TRY(std::move(received));
    received = base::success();
  }
}

void Agent::load_idle_drivers_when_due() {
  if (idle_drivers_at_ms_ && base::monotonic_ms() >= *idle_drivers_at_ms_) {
    idle_drivers_at_ms_.reset();
    load_idle_drivers(machine_.modules);
  }
}

Status Agent::receive() {
  PYRO_TRY_ASSIGN(const bool connected, link_.receive());
  if (!connected) {
    if (rules_.personalised()) {
      // The supervisor is gone, and the machine with it in a moment.
      power_off_ = true;
    }
    // A parked guest waits for its next supervisor.
    while (!power_off_ && !host_is_connected(link_.fd())) {
      ::usleep(kReconnectPollUs);
    }
    return base::success();
  }
  return handle_frames();
}

Status Agent::handle_frames() {
  while (!power_off_ && !held_exec_) {
    PYRO_TRY_ASSIGN(auto frame, link_.next());
    if (!frame) {
      break;
    }
    PYRO_TRY(on_frame(*frame));
  }
  return base::success();
}

Status Agent::on_frame(wire::Frame& frame) {
  const auto command = commands_.find(frame.stream);
  const bool known = frame.stream != 0 && command != commands_.end();
  PYRO_TRY(rules_.accept(frame, known));
  switch (frame.type) {
    case wire::FrameType::ping:
      link_.send_control(wire::bare_frame(wire::FrameType::pong));
      return base::success();
    case wire::FrameType::power_off:
      power_off_ = true;
      return base::success();
    case wire::FrameType::personalise:
      return on_personalise(frame);
    case wire::FrameType::exec:
      return on_exec(frame);
    default:
      // A command that has just ended may still be written to.
      return known ? command->second->on_frame(frame) : base::success();
  }
}

Status Agent::on_personalise(const wire::Frame& frame) {
  PYRO_TRY_ASSIGN(const wire::Personalise message, wire::Personalise::decode(frame.payload));
  PYRO_TRY(personalise(message, machine_));
  if (message.keeps_disk) {
    PYRO_TRY_ASSIGN(disk_sync_, DiskSync::start(loop_, kScratchPath));
  }
  PYRO_TRY(make_inner_namespace());
  wire::Ready ready;
  ready.uptime_ms = static_cast<std::uint64_t>(base::clock_ns(CLOCK_BOOTTIME) / 1'000'000);
  link_.send_control(wire::message_frame(wire::FrameType::ready, 0, ready));
  PYRO_TRY(link_.flush());
  prepare_cgroup();
  idle_drivers_at_ms_ = base::monotonic_ms() + kIdleDriversMs;
  return base::success();
}

Status Agent::on_exec(wire::Frame& frame) {
  PYRO_TRY_ASSIGN(wire::Exec exec, wire::Exec::decode(frame.payload));
  if (commands_.size() >= kMaxCommands) {
    refuse(frame.stream, base::make_error(PYRO_ERROR_LIMIT,
                                          "{} commands run in this guest already; wait for one to end", kMaxCommands));
    return base::success();
  }
  auto command = [&]() -> base::Result<std::unique_ptr<Command>> {
    PYRO_TRY_ASSIGN(CommandCgroup cgroup, take_cgroup());
    return Command::start(loop_, link_, frame.stream, std::move(cgroup), std::move(exec), *inner_, disk_sync_.get());
  }();
  if (!command.ok() && command.error().code == PYRO_ERROR_STATE) {
    held_exec_ = std::move(frame);
    return base::success();
  }
  if (!command.ok()) {
    refuse(frame.stream, command.error());
    return base::success();
  }
  commands_.emplace(frame.stream, std::move(command).value());
  return base::success();
}

// Made ahead, while nobody waits for it.
void Agent::prepare_cgroup() {
  if (!next_cgroup_) {
    if (auto made = CommandCgroup::create(next_command_++); made.ok()) {
      next_cgroup_ = std::move(made).value();
    }
  }
}

base::Result<CommandCgroup> Agent::take_cgroup() {
  auto prepared = std::exchange(next_cgroup_, std::nullopt);
  // Commands see it and may have removed it.
  if (prepared && prepared->exists()) {
    return std::move(*prepared);
  }
  return CommandCgroup::create(next_command_++);
}

void Agent::refuse(std::uint32_t stream, const base::Error& error) {
  for (base::Bytes& frame : wire::refusal_frames(stream, error)) {
    link_.send_data(std::move(frame));
  }
}

Status Agent::make_inner_namespace() {
  PYRO_TRY_ASSIGN(InnerNamespace inner, InnerNamespace::create(machine_.cgroups));
  inner_ = std::make_unique<InnerNamespace>(std::move(inner));
  inner_watch_ = std::make_unique<Watch>(loop_, inner_->pidfd(), [this](std::uint32_t) { inner_ended_ = true; });
  inner_watch_->want(EPOLLIN);
  return base::success();
}

// The init ends last: the kernel holds it until all commands are reaped, so their exits come first.
Status Agent::renew_inner_namespace() {
  wire::GuestReset reset;
  reset.kind = inner_->reap();
  link_.send_control(wire::message_frame(wire::FrameType::guest_reset, 0, reset));
  inner_watch_.reset();
  inner_ended_ = false;
  tidy_cgroups();
  PYRO_TRY(make_inner_namespace());
  if (auto exec = std::exchange(held_exec_, std::nullopt)) {
    PYRO_TRY(on_frame(*exec));
  }
  return handle_frames();
}

void Agent::drop_finished() {
  bool any = false;
  for (auto command = commands_.begin(); command != commands_.end();) {
    if (!command->second->finished()) {
      ++command;
      continue;
    }
    leftover_cgroups_.push_back(command->second->cgroup_name());
    command = commands_.erase(command);
    any = true;
  }
  if (any) {
    tidy_cgroups();
    prepare_cgroup();
  }
}

void Agent::tidy_cgroups() {
  std::erase_if(leftover_cgroups_, [](const std::string& name) { return remove_command_cgroup(name); });
}

void Agent::shut_down() {
  if (inner_) {
    inner_->kill();
  }
  const std::int64_t deadline_ms = base::monotonic_ms() + kEndDeadlineMs;
  while (::waitpid(-1, nullptr, WNOHANG) >= 0 && base::monotonic_ms() < deadline_ms) {
    ::usleep(kEndPollUs);
  }
  (void)link_.flush();
  disk_sync_.reset();
  ::umount2(kRootPath, 0);
  ::umount2(kScratchPath, 0);
  ::sync();
}

}  // namespace pyro::guest
