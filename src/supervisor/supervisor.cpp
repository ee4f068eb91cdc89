#include "supervisor/supervisor.hpp"

#include "base/build_id.hpp"
#include "base/clock.hpp"

#include <chrono>
#include <utility>

#include <sys/random.h>

namespace pyro::supervisor {

using wire::FrameType;

namespace {

// Commands of one VM at once, running or waiting: beyond it a client is told, not the guest.
constexpr std::size_t kMaxCommands = 256;
// A guest obeys a kill within milliseconds; one that has not after this is not going to.
constexpr std::uint64_t kKillGraceMs = 1500;
// The timeout counts from the command's start. A guest in which it never gets to start (a fork bomb of
// another command's, for one) has this much longer.
constexpr std::uint64_t kStartGraceMs = 10'000;
// How long a client has for taking in the last message before the process exits.
constexpr std::uint64_t kFarewellMs = 1000;
constexpr std::uint64_t kPingIntervalMs = 2000;
// A ready agent that is silent for this long, while its vCPUs ran for most of it, is lost.
constexpr std::int64_t kPongDeadlineMs = 10'000;
constexpr std::int64_t kPongCpuMs = kPongDeadlineMs / 2;

template <std::size_t N>
base::Status fill_random(std::array<std::byte, N>& out) {
  if (::getrandom(out.data(), out.size(), 0) != static_cast<ssize_t>(out.size())) {
    return base::errno_error(errno, "cannot get random bytes");
  }
  return base::success();
}

base::Error broken_order(const char* who) {
  return base::make_error(PYRO_ERROR_INTERNAL, "the {} sent a frame that makes no sense now", who);
}

}  // namespace

Supervisor::Supervisor(boost::asio::io_context& io, base::Fd client)
    : io_(io),
      client_(io, std::move(client), true,
              {[this](wire::Frame frame) { handle_client(std::move(frame)); },
               [this](const std::string& why) { handle_client_end(why); }}),
      boot_timer_(io),
      lifetime_timer_(io),
      ping_timer_(io),
      end_timer_(io) {}

Supervisor::~Supervisor() = default;

void Supervisor::run() {
  wire::Hello hello;
  hello.build_id = base::build_id();
  client_.send_control(wire::message_frame(FrameType::hello, 0, hello));
  client_.start();
  io_.run();
}

// ---- client ----

void Supervisor::handle_client(wire::Frame frame) {
  if (state_ == State::ending) {
    return;
  }
  base::Status status = base::success();
  if (frame.stream == 0) {
    status = handle_link_frame(frame);
  } else if (frame.type == FrameType::exec) {
    status = open_session(frame);
  } else if (const auto found = commands_.find(frame.stream); found != commands_.end()) {
    status = found->second.session->handle_client(frame);
    forget_if_finished(frame.stream);
  }
  // Frames of a stream that is over crossed its exit: ignored.
  if (!status.ok()) {
    fail(status.error().code, status.error().message);
  }
}

void Supervisor::handle_client_end(const std::string& why) {
  if (!why.empty() && state_ != State::ending) {
    return fail(PYRO_ERROR_INTERNAL, why);
  }
  end();
}

base::Status Supervisor::handle_link_frame(const wire::Frame& frame) {
  switch (frame.type) {
    case FrameType::configure:
      return configure(frame);
    case FrameType::ping:
      client_.send_control(wire::bare_frame(FrameType::pong));
      return base::success();
    case FrameType::status_request: {
      wire::Status status;
      status.state = state_ == State::running ? "running" : "booting";
      status.uptime_ms = static_cast<std::uint64_t>(base::monotonic_ms() - configured_ms_);
      status.running_commands = static_cast<std::uint32_t>(commands_.size());
      client_.send_control(wire::message_frame(FrameType::status, 0, status));
      return base::success();
    }
    default:
      return broken_order("client");
  }
}

base::Status Supervisor::configure(const wire::Frame& frame) {
  if (state_ != State::idle) {
    return broken_order("client");
  }
  PYRO_TRY_ASSIGN(const wire::Configure config, wire::Configure::decode(frame.payload));
  if (config.build_id != base::build_id()) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "pyro-vm is build {}, the library is build {}; install both from one build, or set "
                            "PYRO_LIBEXEC to the folder of the matching one",
                            base::build_id(), config.build_id);
  }
  auto fds = client_.take_fds();
  if (fds.size() != static_cast<std::size_t>(wire::ConfigureFd::count)) {
    return base::make_error(PYRO_ERROR_INTERNAL, "configure came with {} descriptors", fds.size());
  }
  vm_id_ = config.vm_id;
  boot_timeout_ms_ = config.boot_timeout_ms;
  configured_ms_ = base::monotonic_ms();
  watch_client_process(std::move(fds[static_cast<std::size_t>(wire::ConfigureFd::client)]));
  client_.send_control(wire::message_frame(FrameType::progress, 0, wire::Progress{"boot", "starting the VM"}));
  return start_machine(config, std::move(fds));
}

void Supervisor::watch_client_process(base::Fd pidfd) {
  client_process_.emplace(io_, pidfd.release());
  client_process_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                              [this](const boost::system::error_code& error) {
                                if (!error) {
                                  end();
                                }
                              });
}

base::Status Supervisor::start_machine(const wire::Configure& config, std::vector<base::Fd> fds) {
  const auto take = [&fds](wire::ConfigureFd which) { return std::move(fds[static_cast<std::size_t>(which)]); };
  if (config.engine != wire::EngineKind::software) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "this build has no KVM engine");
  }
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
  machine_ = machine::make_qemu_machine(io_, std::move(machine));
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
  start_deadline(boot_timer_, config.boot_timeout_ms, [this] {
    fail(PYRO_ERROR_BOOT,
         fmt::format("the guest was not ready within {} s; a loaded host may need a longer boot timeout",
                     static_cast<double>(boot_timeout_ms_) / 1000.0));
  });
  if (config.max_lifetime_ms > 0) {
    start_deadline(lifetime_timer_, config.max_lifetime_ms, [this, lifetime_ms = config.max_lifetime_ms] {
      fail(PYRO_ERROR_TIMEOUT,
           fmt::format("the VM reached its maximum lifetime of {} s", static_cast<double>(lifetime_ms) / 1000.0));
    });
  }
  return base::success();
}

// ---- agent ----

void Supervisor::handle_agent(wire::Frame frame) {
  if (state_ == State::ending) {
    return;
  }
  base::Status status = base::success();
  if (frame.stream == 0) {
    status = handle_agent_link(frame);
  } else {
    for (auto& [client_stream, command] : commands_) {
      if (command.session->agent_stream() == frame.stream) {
        const bool was_started = command.session->started();
        status = command.session->handle_agent(frame);
        if (!was_started && command.session->started()) {
          end_command_after(command, client_stream, command.session->timeout_ms());
        }
        forget_if_finished(client_stream);
        break;
      }
    }
    // Frames of a command that was given up are ignored.
  }
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
        return broken_order("guest");
      }
      become_ready(ready);
      return base::success();
    }
    case FrameType::failed: {
      PYRO_TRY_ASSIGN(const wire::Failed failed, wire::Failed::decode(frame.payload));
      lose_vm("the guest agent gave up: " + failed.message);
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
      return broken_order("guest");
  }
}

base::Status Supervisor::personalise(const wire::Frame& frame) {
  if (state_ != State::booting) {
    return broken_order("guest");
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
  state_ = State::personalising;
  agent_->send_control(wire::message_frame(FrameType::personalise, 0, message));
  return base::success();
}

void Supervisor::become_ready(const wire::Ready& ready) {
  state_ = State::running;
  boot_timer_.cancel();
  client_.send_control(wire::message_frame(FrameType::ready, 0, ready));
  last_pong_ms_ = base::monotonic_ms();
  cpu_at_last_pong_ms_ = machine_->cpu_time_ms();
  schedule_ping();
  for (const auto& [client_stream, command] : commands_) {
    dispatch(client_stream);
  }
}

// ---- commands ----

base::Status Supervisor::open_session(const wire::Frame& frame) {
  if (state_ == State::idle || commands_.contains(frame.stream)) {
    return broken_order("client");
  }
  if (commands_.size() >= kMaxCommands) {
    return base::make_error(PYRO_ERROR_LIMIT, "a VM runs at most {} commands at once", kMaxCommands);
  }
  PYRO_TRY_ASSIGN(wire::Exec exec, wire::Exec::decode(frame.payload));
  const Session::Sinks sinks{[this](base::Bytes bytes) { client_.send_control(std::move(bytes)); },
                             [this](base::Bytes bytes) { client_.send_data(std::move(bytes)); },
                             [this](base::Bytes bytes) { agent_->send_control(std::move(bytes)); },
                             [this](base::Bytes bytes) { agent_->send_data(std::move(bytes)); }};
  commands_.emplace(
      frame.stream,
      Command{std::make_unique<Session>(frame.stream, next_agent_stream_++, std::move(exec), sinks), nullptr});
  if (state_ == State::running) {
    dispatch(frame.stream);
  }
  return base::success();
}

// The client must be able to tell "never started" from "outcome unknown" even if this process dies in
// the next instant: so the word that the command is on its way leaves before the command does.
void Supervisor::dispatch(std::uint32_t client_stream) {
  client_.send_control(wire::message_frame(FrameType::progress, 0, wire::Progress{"dispatch", "starting the command"}));
  client_.when_sent([this, client_stream] {
    if (const auto found = commands_.find(client_stream); found != commands_.end() && state_ == State::running) {
      dispatched_any_ = true;
      found->second.session->dispatch();
      end_command_after(found->second, client_stream, found->second.session->timeout_ms() + kStartGraceMs);
    }
  });
}

void Supervisor::end_command_after(Command& command, std::uint32_t client_stream, std::uint64_t ms) {
  if (command.session->timeout_ms() == 0) {
    return;
  }
  command.timer = std::make_unique<boost::asio::steady_timer>(io_);
  start_deadline(*command.timer, ms, [this, client_stream] {
    const auto found = commands_.find(client_stream);
    if (found == commands_.end()) {
      return;
    }
    found->second.session->time_out();
    start_deadline(*found->second.timer, kKillGraceMs, [this, client_stream] {
      if (const auto left = commands_.find(client_stream); left != commands_.end()) {
        left->second.session->give_up();
        forget_if_finished(client_stream);
      }
    });
  });
}

void Supervisor::forget_if_finished(std::uint32_t client_stream) {
  const auto found = commands_.find(client_stream);
  if (found != commands_.end() && found->second.session->finished()) {
    commands_.erase(found);
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

// ---- ends ----

void Supervisor::handle_machine_end(const machine::MachineEnd& machine_end) {
  lose_vm(machine_end.detail);
}

void Supervisor::lose_vm(const std::string& what) {
  if (state_ != State::running) {
    fail(PYRO_ERROR_BOOT, "the guest did not start: " + what);
  } else if (!dispatched_any_) {
    fail(PYRO_ERROR_NOT_STARTED,
         "the VM was lost before the command was started (it is safe to run it again): " + what);
  } else {
    fail(PYRO_ERROR_OUTCOME_UNKNOWN, "the VM was lost while the command ran (what it did is unknown): " + what);
  }
}

void Supervisor::fail(pyro_status code, const std::string& message) {
  if (state_ == State::ending) {
    return;
  }
  wire::Failed failed;
  failed.code = code;
  failed.message = message;
  if (machine_) {
    failed.console = machine_->console_tail();
  }
  state_ = State::ending;
  // As data: what the command printed until now still arrives before it.
  client_.send_data(wire::message_frame(FrameType::failed, 0, failed));
  client_.when_sent([this] { end(); });
  start_deadline(end_timer_, kFarewellMs, [this] { end(); });
}

void Supervisor::end() {
  state_ = State::ending;
  io_.stop();
}

}  // namespace pyro::supervisor
