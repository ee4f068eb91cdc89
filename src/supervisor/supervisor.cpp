#include "supervisor/supervisor.hpp"

#include "base/build_id.hpp"
#include "base/clock.hpp"
#include "base/text.hpp"
#include "jail/confine.hpp"
#include "supervisor/unexpected.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fcntl.h>
#include <sys/random.h>

namespace pyro::supervisor {

using wire::FrameType;

namespace {

// Why an agent gave up: room for a reason with a path in it.
constexpr std::size_t kMaxAgentMessageBytes = 1024;
constexpr std::uint64_t kPingIntervalMs = 2000;
// A ready agent that is silent for this long, while its vCPUs ran for most of it, is lost.
constexpr std::int64_t kPongDeadlineMs = 10'000;
constexpr std::int64_t kPongCpuMs = kPongDeadlineMs / 2;
// A command's arguments may fill a frame; a guest that has this much to read gets no more commands for now.
constexpr std::size_t kMaxDispatchBacklogBytes = wire::kMaxArgumentBytes;
// How large the journal's files may become, holes included. Beyond it output is not recorded and no command starts.
constexpr std::uint64_t kMaxJournalFileBytes = std::uint64_t{1} << 40;

template <std::size_t N>
base::Status fill_random(std::array<std::byte, N>& out) {
  if (::getrandom(out.data(), out.size(), 0) != static_cast<ssize_t>(out.size())) {
    return base::errno_error(errno, "cannot get random bytes");
  }
  return base::success();
}

// A lock that comes with a descriptor is the open file's: children that the host forked in the meantime have it as well, and
// would keep it beyond our end. One of this process takes its place, from where the file is at (client/file_lock.hpp).
// Shared, so that an engine can have it too. A starter that gave up has dropped its lock, and the next one may have taken
// that: so it is ours only if nobody else holds any, which is looked at before (so as not to be in another's way) and after
// (from where on nobody can begin with an exclusive one).
base::Status take_over_lock(const base::Fd& file, off_t bytes) {
  const auto call = [&](int command, short type) -> std::optional<short> {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_CUR;
    lock.l_len = bytes;
    return ::fcntl(file.get(), command, &lock) == 0 ? std::optional(lock.l_type) : std::nullopt;
  };
  if (call(F_OFD_GETLK, F_WRLCK) != F_UNLCK || !call(F_OFD_SETLK, F_RDLCK) || !call(F_SETLK, F_RDLCK) ||
      !call(F_OFD_SETLK, F_UNLCK) || call(F_GETLK, F_WRLCK) != F_UNLCK) {
    return base::make_error(PYRO_ERROR_NOT_STARTED,
                            "the VM was not started: its lock is not ours any more, since its start was given up");
  }
  return base::success();
}

}  // namespace

Supervisor::Supervisor(boost::asio::io_context& io, base::Fd client, base::Status confined, MachineFactory make_machine,
                       Deadlines deadlines)
    : io_(io),
      confined_(std::move(confined)),
      make_machine_(std::move(make_machine)),
      deadlines_(deadlines),
      clients_(io, std::move(client),
               {[this](ClientId id, wire::Frame frame) { handle_client(id, std::move(frame)); },
                [this](ClientId id, const std::string& why) { handle_client_end(id, why); },
                [this](ClientId id) { greet(id); }}),
      boot_timer_(io),
      ping_timer_(io),
      end_timer_(io),
      expiry_timer_(io) {}

Supervisor::~Supervisor() = default;

void Supervisor::run() {
  greet(kFirstClient);
  clients_.start();
  start_deadline(boot_timer_, deadlines_.configure_ms, [this] {
    if (state_ == State::idle) {
      end();
    }
  });
  io_.run();
}

// ---- start ----

base::Status Supervisor::configure(const wire::Frame& frame) {
  if (!confined_.ok()) {
    return confined_.error();
  }
  PYRO_TRY_ASSIGN(const wire::Configure config, wire::Configure::decode(frame.payload));
  if (config.build_id != base::build_id()) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "pyro-vm is build {}, the library is build {}; install both from one build, or set "
                            "PYRO_LIBEXEC to the folder of the matching one",
                            base::build_id(), config.build_id);
  }
  auto fds = clients_.take_fds();
  outlives_client_ = config.outlives_client;
  if (fds.size() !=
      static_cast<std::size_t>(outlives_client_ ? wire::ConfigureFd::count_outliving : wire::ConfigureFd::count)) {
    return base::make_error(PYRO_ERROR_INTERNAL, "configure came with {} descriptors", fds.size());
  }
  PYRO_TRY(take_over_lock(fds[static_cast<std::size_t>(wire::ConfigureFd::slot)], machine::kSlotBytes));
  if (outlives_client_) {
    // Before anything is written that is the VM's.
    PYRO_TRY(take_over_lock(fds[static_cast<std::size_t>(wire::ConfigureFd::lock)], machine::kLockBytes));
  }
  PYRO_TRY(jail::join_cgroup(fds[static_cast<std::size_t>(wire::ConfigureFd::cgroup)].get()));
  if (outlives_client_) {
    const auto take = [&fds](wire::ConfigureFd which) { return std::move(fds[static_cast<std::size_t>(which)]); };
    listener_ = take(wire::ConfigureFd::listener);
    PYRO_TRY_ASSIGN(auto journal,
                    TaskJournal::open(take(wire::ConfigureFd::commands), take(wire::ConfigureFd::output)));
    PYRO_TRY(journal.machine_started(config.vm_id, static_cast<std::uint32_t>(config.engine)));
    // A start that is not recorded has no end: with an error the lock is gone when that would be written.
    journal_ = std::move(journal);
  }
  vm_id_ = config.vm_id;
  boot_timeout_ms_ = config.boot_timeout_ms;
  configured_ms_ = base::monotonic_ms();
  expiry_ = Expiry(configured_ms_, outlives_client_ ? config.ttl_ms : 0, config.max_lifetime_ms);
  watch_client_process(std::move(fds[static_cast<std::size_t>(wire::ConfigureFd::client)]));
  clients_.broadcast_control(wire::message_frame(FrameType::progress, 0, wire::Progress{"boot", "starting the VM"}));
  return start_machine(config, std::move(fds));
}

void Supervisor::watch_client_process(base::Fd pidfd) {
  client_process_.emplace(io_, pidfd.release());
  client_process_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                              [this](const boost::system::error_code& error) {
                                // Its socket tells as well, unless a child that it forked holds that open.
                                if (!error) {
                                  handle_client_end(kFirstClient, {});
                                }
                              });
}

base::Status Supervisor::start_machine(const wire::Configure& config, std::vector<base::Fd> fds) {
  const auto take = [&fds](wire::ConfigureFd which) { return std::move(fds[static_cast<std::size_t>(which)]); };
  machine::MachineConfig machine;
  machine.vcpu_count = config.vcpu_count;
  machine.mem_mib = config.mem_mib;
  machine.disk_mib = config.disk_mib;
  machine.kernel = take(wire::ConfigureFd::kernel);
  machine.initramfs = take(wire::ConfigureFd::initramfs);
  machine.agent = take(wire::ConfigureFd::agent);
  machine.root = take(wire::ConfigureFd::root);
  machine.scratch = take(wire::ConfigureFd::scratch);
  machine.delta = take(wire::ConfigureFd::delta);
  machine.engine = take(wire::ConfigureFd::engine);
  machine.slot = take(wire::ConfigureFd::slot);
  if (outlives_client_) {
    machine.lock = take(wire::ConfigureFd::lock);
  }
  machine.use_kvm = config.engine == wire::EngineKind::kvm;
  machine.keeps_disk = outlives_client_;
  machine.supervisor_file_bytes = outlives_client_ ? kMaxJournalFileBytes : 0;
  machine_ = make_machine_(io_, std::move(machine));
  PYRO_TRY(machine_->start([this](const machine::MachineEnd& end) { handle_machine_end(end); }));
  state_ = State::booting;
  agent_ =
      std::make_unique<Link>(io_, machine_->take_agent_socket(), false,
                             Link::Handlers{[this](wire::Frame agent_frame) { handle_agent(std::move(agent_frame)); },
                                            [this](const std::string& why) {
                                              // A closed port is the machine's end: that event says more.
                                              if (!why.empty()) {
                                                lose_vm("the guest broke the protocol: " + why);
                                              }
                                            }});
  agent_->start();
  start_deadlines(config);
  // Last: from here on, nothing can be opened or started. Nothing that the guest said was looked at before.
  return machine_->confine();
}

void Supervisor::start_deadlines(const wire::Configure& config) {
  start_deadline(boot_timer_, config.boot_timeout_ms, [this] {
    fail(PYRO_ERROR_BOOT,
         fmt::format("the guest was not ready within {} s; a loaded host may need a longer boot timeout",
                     static_cast<double>(boot_timeout_ms_) / 1000.0));
  });
  wait_for_expiry();
}

// ---- agent ----

void Supervisor::handle_agent(wire::Frame frame) {
  if (is_over()) {
    return;
  }
  base::Status status = base::success();
  if (frame.stream == 0) {
    status = handle_agent_link(frame);
  } else if (const auto found = commands_.find(frame.stream); found != commands_.end()) {
    Command& command = found->second;
    const bool was_started = command.session->started();
    status = command.session->handle_agent(frame);
    // A start after the deadline changes nothing: the kill is on its way.
    if (!was_started && command.session->started() && !command.session->timed_out()) {
      end_command_after(command, frame.stream, command.session->timeout_ms());
    }
    forget_if_finished(frame.stream);
    dispatch_waiting();
  }
  // Frames of a command that was given up are ignored.
  if (!status.ok()) {
    lose_vm("the guest broke the protocol: " + status.error().message);
  }
}

base::Status Supervisor::handle_agent_link(const wire::Frame& frame) {
  switch (frame.type) {
    case FrameType::hello:
      return personalise(frame);
    case FrameType::ready: {
      PYRO_TRY_ASSIGN(const wire::Ready ready, wire::Ready::decode(frame.payload));
      if (state_ != State::personalising) {
        return unexpected("guest");
      }
      become_ready(ready);
      return base::success();
    }
    case FrameType::failed: {
      PYRO_TRY_ASSIGN(const wire::Failed failed, wire::Failed::decode(frame.payload));
      const std::string why = base::printable(failed.message, kMaxAgentMessageBytes);
      if (failed.code == PYRO_ERROR_ENVIRONMENT && is_starting()) {
        fail(PYRO_ERROR_ENVIRONMENT, "the guest did not start: " + why);
      } else {
        lose_vm("the guest agent gave up: " + why);
      }
      return base::success();
    }
    case FrameType::pong:
      last_pong_ms_ = base::monotonic_ms();
      cpu_at_last_pong_ms_ = machine_->cpu_time_ms();
      return base::success();
    case FrameType::guest_reset:
      // The commands it ended report their own exits.
      PYRO_TRY(wire::GuestReset::decode(frame.payload));
      return base::success();
    default:
      return unexpected("guest");
  }
}

base::Status Supervisor::personalise(const wire::Frame& frame) {
  if (state_ != State::booting) {
    return unexpected("guest");
  }
  PYRO_TRY_ASSIGN(const wire::Hello hello, wire::Hello::decode(frame.payload));
  wire::Personalise message;
  PYRO_TRY_ASSIGN(message.version, wire::choose_version(hello));
  PYRO_TRY(fill_random(message.entropy));
  std::array<std::byte, 16> machine_id{};
  PYRO_TRY(fill_random(machine_id));
  for (const std::byte byte : machine_id) {
    message.machine_id += fmt::format("{:02x}", static_cast<unsigned>(byte));
  }
  message.hostname = "pyro-" + vm_id_;
  message.realtime_ns = base::realtime_ns();
  message.keeps_disk = outlives_client_;
  state_ = State::personalising;
  agent_->send_control(wire::message_frame(FrameType::personalise, 0, message));
  return base::success();
}

void Supervisor::become_ready(const wire::Ready& ready) {
  state_ = State::running;
  boot_timer_.cancel();
  clients_.broadcast_control(wire::message_frame(FrameType::ready, 0, ready));
  if (const std::string exits = machine_->exit_statistics(); !exits.empty()) {
    clients_.broadcast_control(wire::message_frame(FrameType::log, 0, wire::Log{PYRO_LOG_DEBUG, "boot: " + exits}));
  }
  last_pong_ms_ = base::monotonic_ms();
  cpu_at_last_pong_ms_ = machine_->cpu_time_ms();
  schedule_ping();
  if (outlives_client_) {
    if (const auto status = clients_.listen(std::move(listener_)); !status.ok()) {
      return fail(status.error().code, status.error().message);
    }
  }
  for (const auto& [agent_stream, command] : commands_) {
    waiting_to_dispatch_.push_back(agent_stream);
  }
  dispatch_waiting();
  watch_idleness();
}

// ---- commands ----

void Supervisor::dispatch(std::uint32_t agent_stream) {
  waiting_to_dispatch_.push_back(agent_stream);
  dispatch_waiting();
}

void Supervisor::dispatch_waiting() {
  while (state_ == State::running && !waiting_to_dispatch_.empty() &&
         agent_->pending_control_bytes() < kMaxDispatchBacklogBytes) {
    const std::uint32_t agent_stream = waiting_to_dispatch_.front();
    waiting_to_dispatch_.pop_front();
    if (commands_.contains(agent_stream)) {
      announce(agent_stream);
    }
  }
}

// The client must be able to tell "never started" from "outcome unknown" even if this process dies in
// the next instant: so the word that the command is on its way leaves before the command does.
void Supervisor::announce(std::uint32_t agent_stream) {
  Command& command = commands_.at(agent_stream);
  const ClientId client = command.client;
  if (journal_ && command.session->exec().file_request.empty()) {
    const auto number = journal_->command_started(command.session->exec());
    if (!number.ok()) {
      refuse_command(client, command.client_stream, number.error());
      commands_.erase(agent_stream);
      return;
    }
    command.number = *number;
  }
  clients_.send_control(
      client, wire::message_frame(FrameType::dispatched, command.client_stream, wire::Dispatched{command.number}));
  clients_.when_sent(client, [this, agent_stream] {
    if (const auto found = commands_.find(agent_stream); found != commands_.end() && state_ == State::running) {
      found->second.session->dispatch();
      end_command_after(found->second, agent_stream, found->second.session->timeout_ms() + deadlines_.start_grace_ms);
    }
  });
}

void Supervisor::end_command_after(Command& command, std::uint32_t agent_stream, std::uint64_t ms) {
  if (command.session->timeout_ms() != 0) {
    end_command_in(command, agent_stream, ms);
  }
}

void Supervisor::end_command_in(Command& command, std::uint32_t agent_stream, std::uint64_t ms) {
  command.timer = std::make_unique<boost::asio::steady_timer>(io_);
  start_deadline(*command.timer, ms, [this, agent_stream] {
    const auto found = commands_.find(agent_stream);
    if (found == commands_.end()) {
      return;
    }
    found->second.session->time_out();
    const std::uint64_t grace_ms = outlives_client_ ? deadlines_.kill_grace_with_disk_ms : deadlines_.kill_grace_ms;
    start_deadline(*found->second.timer, grace_ms, [this, agent_stream] {
      if (const auto left = commands_.find(agent_stream); left != commands_.end()) {
        left->second.session->give_up();
        forget_if_finished(agent_stream);
      }
    });
  });
}

void Supervisor::forget_if_finished(std::uint32_t agent_stream) {
  const auto found = commands_.find(agent_stream);
  if (found == commands_.end() || !found->second.session->finished()) {
    return;
  }
  const ClientId client = found->second.client;
  commands_.erase(found);
  const auto waiting = delivering_.find(client);
  if (waiting != delivering_.end() && !command_states(client).exited) {
    say_farewell_to(client, Loss(waiting->second));
  }
  watch_idleness();
}

void Supervisor::record_command_end(Command& command, const wire::Exit& exit, pyro_status status) {
  if (journal_ && command.number != 0 && !std::exchange(command.end_recorded, true)) {
    journal_->command_ended(command.number, exit, status);
  }
}

// ---- deadlines ----

void Supervisor::start_deadline(boost::asio::steady_timer& timer, std::uint64_t ms, std::function<void()> then) {
  timer.expires_after(std::chrono::milliseconds(ms));
  timer.async_wait([then = std::move(then)](const boost::system::error_code& error) {
    if (!error) {
      then();
    }
  });
}

void Supervisor::watch_idleness() {
  expiry_.set_used(base::monotonic_ms(), state_ != State::running || !commands_.empty() || !attached_.empty());
  wait_for_expiry();
}

void Supervisor::wait_for_expiry() {
  if (state_ == State::stopping || is_over()) {
    return;
  }
  const auto at = expiry_.set_timer();
  if (!at) {
    return;
  }
  const std::int64_t left_ms = std::max<std::int64_t>(*at - base::monotonic_ms(), 0);
  start_deadline(expiry_timer_, static_cast<std::uint64_t>(left_ms), [this] { expire(); });
}

void Supervisor::expire() {
  expiry_.timer_ended();
  const auto seconds = [](std::uint64_t ms) { return static_cast<double>(ms) / 1000.0; };
  switch (expiry_.due(base::monotonic_ms())) {
    case Expiry::Reason::none:
      return wait_for_expiry();
    case Expiry::Reason::unused:
      return stop(fmt::format("expired: nobody used it for {} s", seconds(expiry_.ttl_ms())));
    case Expiry::Reason::lifetime: {
      const std::string reason =
          fmt::format("the VM reached its maximum lifetime of {} s", seconds(expiry_.max_lifetime_ms()));
      return outlives_client_ && !is_starting() ? stop("expired: " + reason) : fail(PYRO_ERROR_TIMEOUT, reason);
    }
  }
}

void Supervisor::schedule_ping() {
  start_deadline(ping_timer_, kPingIntervalMs, [this] {
    if (state_ != State::running) {
      return;
    }
    agent_->send_control(wire::bare_frame(FrameType::ping));
    check_pong();
    schedule_ping();
  });
}

void Supervisor::check_pong() {
  if (base::monotonic_ms() - last_pong_ms_ < kPongDeadlineMs) {
    return;
  }
  if (machine_->cpu_time_ms() - cpu_at_last_pong_ms_ >= kPongCpuMs) {
    return lose_vm(fmt::format("the guest has not answered for {} s although its CPUs ran", kPongDeadlineMs / 1000));
  }
  // Little CPU time: a guest that waits for the host's CPU, or one that will never run again.
  machine_->check_liveness([this](machine::Liveness liveness) {
    if (liveness == machine::Liveness::halted_forever) {
      lose_vm("the guest hangs: all its CPUs are halted with interrupts disabled");
    }
  });
}

}  // namespace pyro::supervisor
