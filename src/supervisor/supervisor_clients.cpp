// What clients say to a Supervisor.
#include "supervisor/supervisor.hpp"

#include "base/build_id.hpp"
#include "base/clock.hpp"
#include "supervisor/unexpected.hpp"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include <boost/asio/post.hpp>

namespace pyro::supervisor {

using wire::FrameType;

namespace {

// Commands of one VM at once, running or waiting: beyond it a client is told, not the guest.
constexpr std::size_t kMaxCommands = 256;
// Signals and the like for a guest that does not read: room for an exec of full size and very many of them.
constexpr std::size_t kMaxAgentBacklogBytes = 4 * 1024 * 1024;
// Arguments of commands that wait to be started, all together.
constexpr std::size_t kMaxWaitingBytes = 16 * 1024 * 1024;

// Answers and credit for a client that does not read: far more than it can use.
constexpr std::size_t kMaxClientBacklogBytes = 4 * 1024 * 1024;

}  // namespace

void Supervisor::greet(ClientId client) {
  wire::Hello hello;
  hello.build_id = base::build_id();
  hello.pid = static_cast<std::uint32_t>(::getpid());
  clients_.send_control(client, wire::message_frame(FrameType::hello, 0, hello));
}

void Supervisor::handle_client(ClientId client, wire::Frame frame) {
  if (state_ == State::ending || told_.contains(client)) {
    return;
  }
  const auto status = frame.stream == 0 ? handle_link_frame(client, frame) : handle_command_frame(client, frame);
  if (!status.ok()) {
    refuse(client, status.error());
  } else if (clients_.pending_control_bytes(client) > kMaxClientBacklogBytes) {
    // It asks and asks and does not listen; nothing can be said to it.
    boost::asio::post(io_, [this, client] { handle_client_end(client, {}); });
  }
}

void Supervisor::handle_client_end(ClientId client, const std::string& why) {
  if (!clients_.contains(client)) {
    return;
  }
  if (!why.empty()) {
    return refuse(client, base::make_error(PYRO_ERROR_INTERNAL, "{}", why));
  }
  if (depends_on(client)) {
    clients_.drop(client);
    return end();
  }
  forget_client(client);
}

void Supervisor::refuse(ClientId client, const base::Error& error) {
  if (depends_on(client)) {
    return fail(error.code, error.message);
  }
  if (state_ == State::ending || !told_.insert(client).second) {
    return;
  }
  clients_.send_data(client, wire::message_frame(FrameType::failed, 0, wire::Failed{error.code, error.message, {}}));
  clients_.when_sent(client, [this, client] {
    // Not from within what it is called from, which may be at work for one of its commands.
    boost::asio::post(io_, [this, client] { forget_client(client); });
  });
}

void Supervisor::forget_client(ClientId client) {
  attached_.erase(client);
  told_.erase(client);
  delivering_.erase(client);
  clients_.drop(client);
  forget_attachments(client);
  std::vector<std::uint32_t> detached;
  for (auto entry = commands_.begin(); entry != commands_.end();) {
    Command& command = entry->second;
    if (command.client != client) {
      ++entry;
    } else if (is_over() || !command.session->dispatched()) {
      wire::Exit none;
      none.message = "its client went away before it was started";
      record_command_end(command, none, PYRO_ERROR_NOT_STARTED);
      entry = commands_.erase(entry);
    } else {
      detached.push_back(entry->first);
      ++entry;
    }
  }
  for (const std::uint32_t agent_stream : detached) {
    Command& command = commands_.at(agent_stream);
    command.session->detach();
    if (journal_ && command.number == 0) {
      // An operation on files: what it still does it does soon, or it would keep the VM for ever.
      end_command_in(command, agent_stream, deadlines_.kill_grace_with_disk_ms);
    }
    forget_if_finished(agent_stream);
  }
  watch_idleness();
  if (is_ending_ || (is_over() && clients_.size() == 0)) {
    end();
  }
}

base::Status Supervisor::handle_link_frame(ClientId client, const wire::Frame& frame) {
  if (!attached_.contains(client) && frame.type != FrameType::ping && frame.type != FrameType::status_request) {
    const bool configures = client == kFirstClient && state_ == State::idle && frame.type == FrameType::configure;
    const bool attaches = client != kFirstClient && frame.type == FrameType::attach;
    if (!configures && !attaches) {
      return unexpected("client");
    }
    attached_.insert(client);
    if (configures) {
      return configure(frame);
    }
    PYRO_TRY(wire::Attach::decode(frame.payload));
    watch_idleness();
    return base::success();
  }
  switch (frame.type) {
    case FrameType::ping:
      clients_.send_control(client, wire::bare_frame(FrameType::pong));
      return base::success();
    case FrameType::status_request:
      send_status(client);
      return base::success();
    case FrameType::stop:
      stop("a client stopped it");
      return base::success();
    case FrameType::keep:
      if (client != kFirstClient || !outlives_client_ || is_starting()) {
        return unexpected("client");
      }
      kept_ = true;
      return base::success();
    case FrameType::discard:
      record_end(PYRO_OK, "a client discarded it");
      end();
      return base::success();
    case FrameType::set_ttl: {
      PYRO_TRY_ASSIGN(const wire::SetTtl message, wire::SetTtl::decode(frame.payload));
      expiry_.set_ttl(base::monotonic_ms(), message.ttl_ms);
      watch_idleness();
      return base::success();
    }
    default:
      return unexpected("client");
  }
}

void Supervisor::send_status(ClientId client) {
  wire::Status status;
  switch (state_) {
    case State::running:
      status.state = "running";
      break;
    case State::stopping:
    case State::delivering:
    case State::ending:
      status.state = "stopping";
      break;
    default:
      status.state = "booting";
  }
  status.uptime_ms = static_cast<std::uint64_t>(base::monotonic_ms() - configured_ms_);
  status.running_commands = static_cast<std::uint32_t>(commands_.size());
  status.idle_left_ms = expiry_.idle_left_ms(base::monotonic_ms());
  status.lifetime_left_ms = expiry_.lifetime_left_ms(base::monotonic_ms());
  if (machine_) {
    status.cpu_time_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(machine_->cpu_time_ms(), 0));
  }
  clients_.send_control(client, wire::message_frame(FrameType::status, 0, status));
}

base::Status Supervisor::handle_command_frame(ClientId client, const wire::Frame& frame) {
  if (!attached_.contains(client)) {
    return unexpected("client");
  }
  if (frame.type == FrameType::exec) {
    auto opened = open_session(client, frame);
    if (!opened.ok() && opened.error().code != PYRO_ERROR_INTERNAL && outlives_client_) {
      refuse_command(client, frame.stream, opened.error());
      return base::success();
    }
    return opened;
  }
  if (frame.type == FrameType::join) {
    return join_command(client, frame);
  }
  if (const auto attached = find_attachment(client, frame.stream); attached != attachments_.end()) {
    return handle_attachment_frame(attached, frame);
  }
  const auto found = find_command(client, frame.stream);
  if (found == commands_.end()) {
    // Frames of a stream that is over crossed its exit: ignored.
    return base::success();
  }
  const std::uint32_t agent_stream = found->first;
  auto status = found->second.session->handle_client(frame);
  forget_if_finished(agent_stream);
  return lose_vm_if_behind() ? base::success() : status;
}

bool Supervisor::lose_vm_if_behind() {
  const bool behind = agent_ && agent_->pending_control_bytes() > kMaxAgentBacklogBytes;
  if (behind) {
    lose_vm("the guest does not read what it is sent");
  }
  return behind;
}

void Supervisor::refuse_command(ClientId client, std::uint32_t client_stream, const base::Error& error) {
  for (base::Bytes& frame : wire::refusal_frames(client_stream, error)) {
    clients_.send_data(client, std::move(frame));
  }
}

Supervisor::Commands::iterator Supervisor::find_command(ClientId client, std::uint32_t client_stream) {
  return std::find_if(commands_.begin(), commands_.end(), [client, client_stream](const auto& entry) {
    return entry.second.client == client && entry.second.client_stream == client_stream;
  });
}

base::Status Supervisor::open_session(ClientId client, const wire::Frame& frame) {
  if (find_command(client, frame.stream) != commands_.end() ||
      find_attachment(client, frame.stream) != attachments_.end()) {
    return unexpected("client");
  }
  if (commands_.size() >= kMaxCommands) {
    return base::make_error(PYRO_ERROR_LIMIT, "a VM runs at most {} commands at once", kMaxCommands);
  }
  if (state_ == State::stopping) {
    return base::make_error(PYRO_ERROR_NOT_STARTED, "the VM is being stopped");
  }
  if (is_over()) {
    const auto waiting = delivering_.find(client);
    return base::make_error(PYRO_ERROR_NOT_STARTED, "the VM was lost before the command was started{}{}",
                            waiting == delivering_.end() ? "" : ": ",
                            waiting == delivering_.end() ? "" : waiting->second.message);
  }
  PYRO_TRY_ASSIGN(wire::Exec exec, wire::Exec::decode(frame.payload));
  std::size_t waiting_bytes = exec.argument_bytes();
  for (const auto& [agent_stream, command] : commands_) {
    waiting_bytes += command.session->waiting_bytes();
  }
  if (waiting_bytes > kMaxWaitingBytes) {
    return base::make_error(PYRO_ERROR_LIMIT, "commands with {} bytes of arguments wait to be started already",
                            waiting_bytes);
  }
  const std::uint32_t agent_stream = next_agent_stream_++;
  const Session::Sinks sinks{[this, client](base::Bytes bytes) { clients_.send_control(client, std::move(bytes)); },
                             [this, client](base::Bytes bytes) { clients_.send_data(client, std::move(bytes)); },
                             [this](base::Bytes bytes) {
                               if (agent_) {
                                 agent_->send_control(std::move(bytes));
                               }
                             },
                             [this](base::Bytes bytes) {
                               if (agent_) {
                                 agent_->send_data(std::move(bytes));
                               }
                             },
                             [this, agent_stream](wire::Channel channel, base::ByteView bytes) {
                               if (journal_) {
                                 Command& command = commands_.at(agent_stream);
                                 journal_->command_output(command.number, channel, bytes);
                                 command.printed_bytes += bytes.size();
                                 tell_printed(agent_stream);
                               }
                             },
                             [this, agent_stream](const wire::Exit& exit) {
                               record_command_end(commands_.at(agent_stream), exit);
                               tell_attached_exit(agent_stream, exit);
                             },
                             [this](SharedInput::Source source, std::uint32_t bytes) {
                               if (const auto found = attachments_.find(source); found != attachments_.end()) {
                                 clients_.send_control(
                                     found->second.client,
                                     wire::credit_frame(found->second.client_stream, wire::Channel::in, bytes));
                               }
                             }};
  commands_.emplace(agent_stream, Command{std::make_unique<Session>(frame.stream, agent_stream, std::move(exec), sinks),
                                          nullptr, client, frame.stream});
  if (state_ == State::running) {
    dispatch(agent_stream);
  }
  return base::success();
}

}  // namespace pyro::supervisor
