// How a Supervisor's VM ends, and what clients and the journal are told of it.
#include "supervisor/supervisor.hpp"

#include <utility>

#include <boost/asio/post.hpp>

namespace pyro::supervisor {

using wire::FrameType;

void Supervisor::stop(const std::string& reason) {
  if (state_ != State::running) {
    if (is_starting()) {
      fail(PYRO_ERROR_STATE, "the VM was stopped before it was ready");
    }
    return;
  }
  state_ = State::stopping;
  stop_reason_ = reason;
  ping_timer_.cancel();
  expiry_timer_.cancel();
  clients_.stop_listening();
  agent_->send_control(wire::bare_frame(FrameType::power_off));
  start_deadline(boot_timer_, deadlines_.stop_ms, [this] {
    stop_reason_ += "; it did not power off in time and was cut: what was written last may be lost";
    lose_vm("it did not power off when it was asked to");
  });
}

void Supervisor::record_end(pyro_status status, const std::string& reason) {
  if (!journal_ || std::exchange(end_recorded_, true)) {
    return;
  }
  for (auto& [agent_stream, command] : commands_) {
    const bool dispatched = command.session->dispatched();
    wire::Exit unknown;
    unknown.message = reason;
    record_command_end(command, unknown, dispatched ? PYRO_ERROR_OUTCOME_UNKNOWN : PYRO_ERROR_NOT_STARTED);
  }
  // Without room for it the reader concludes from its absence.
  (void)journal_->machine_ended(status, reason);
}

void Supervisor::handle_machine_end(const machine::MachineEnd& machine_end) {
  // What the guest said last is in the socket: exits of commands, or why the agent gave up.
  if (agent_) {
    agent_->drain();
  }
  lose_vm(machine_end.detail);
}

void Supervisor::lose_vm(const std::string& what) {
  if (is_over()) {
    return;
  }
  if (state_ != State::running && state_ != State::stopping) {
    return fail(PYRO_ERROR_BOOT, "the guest did not start: " + what);
  }
  if (state_ == State::stopping) {
    record_end(PYRO_OK, stop_reason_);
  } else {
    record_end(PYRO_ERROR_OUTCOME_UNKNOWN, "the VM was lost: " + what);
  }
  say_farewell(State::delivering, [&what, stopped = state_ == State::stopping](const CommandStates& states) -> Loss {
    if (states.running) {
      return {PYRO_ERROR_OUTCOME_UNKNOWN,
              stopped ? "the VM was stopped while the command ran: what it did is unknown"
                      : "the VM was lost while the command ran (what it did is unknown): " + what};
    }
    if (stopped && (states.exited || !states.waiting)) {
      return {PYRO_OK, {}};
    }
    if (states.exited) {
      return {PYRO_ERROR_NOT_STARTED, "the VM was lost while no command ran: " + what};
    }
    return {PYRO_ERROR_NOT_STARTED,
            stopped ? "the VM was stopped before the command was started"
                    : "the VM was lost before the command was started (it is safe to run it again): " + what};
  });
}

Supervisor::CommandStates Supervisor::command_states(ClientId client) const {
  CommandStates states;
  for (const auto& [agent_stream, command] : commands_) {
    if (command.client == client) {
      const Session& session = *command.session;
      (session.exited() ? states.exited : (session.dispatched() ? states.running : states.waiting)) = true;
    }
  }
  for (const auto& [source, attachment] : attachments_) {
    // It goes with the command's exit.
    states.running = states.running || attachment.client == client;
  }
  return states;
}

void Supervisor::say_farewell(State next, const std::function<Loss(const CommandStates&)>& loss_of) {
  if (machine_) {
    console_ = machine_->console_tail();
  }
  state_ = next;
  clients_.stop_listening();
  std::map<ClientId, Loss> losses;
  for (const ClientId client : clients_.ids()) {
    const CommandStates states = command_states(client);
    const Loss loss = loss_of(states);
    // However slowly it is taken in.
    if (next == State::delivering && states.exited && !states.running && !told_.contains(client)) {
      refuse_waiting(client, loss);
      delivering_[client] = loss;
    } else {
      losses[client] = loss;
    }
  }
  release_machine();
  for (const auto& [client, loss] : losses) {
    say_farewell_to(client, loss);
  }
  if (clients_.size() == 0) {
    end();
  }
}

void Supervisor::refuse_waiting(ClientId client, const Loss& loss) {
  std::erase_if(commands_, [&](const auto& entry) {
    const Command& command = entry.second;
    if (command.client != client || command.session->dispatched() || command.session->exited()) {
      return false;
    }
    const base::Error error =
        base::make_error(PYRO_ERROR_NOT_STARTED, "{}", loss.code == PYRO_OK ? "the VM was stopped" : loss.message);
    refuse_command(client, command.client_stream, error);
    return true;
  });
}

void Supervisor::say_farewell_to(ClientId client, const Loss& loss) {
  base::Bytes last = wire::bare_frame(FrameType::stopped);
  if (loss.code != PYRO_OK) {
    last = wire::message_frame(FrameType::failed, 0, wire::Failed{loss.code, loss.message, console_});
  }
  delivering_.erase(client);
  if (!told_.insert(client).second) {
    return;
  }
  start_deadline(end_timer_, deadlines_.farewell_ms, [this] { end(); });
  // Not at once: one of them may be what this is called from.
  boost::asio::post(io_, [this, client] {
    std::erase_if(commands_, [client](const auto& entry) { return entry.second.client == client; });
  });
  // As data: what the commands printed until now still arrives before it.
  clients_.send_data(client, std::move(last));
  clients_.when_sent(client, [this, client] { finish_client(client); });
}

void Supervisor::finish_client(ClientId client) {
  clients_.drop(client);
  if (clients_.size() == 0) {
    end();
  }
}

void Supervisor::release_machine() {
  boot_timer_.cancel();
  expiry_timer_.cancel();
  ping_timer_.cancel();
  boost::asio::post(io_, [this] {
    agent_.reset();
    machine_.reset();
    // Whoever starts the next one writes on.
    journal_.reset();
  });
}

void Supervisor::fail(pyro_status code, const std::string& message) {
  if (state_ == State::ending) {
    return;
  }
  record_end(code, message);
  say_farewell(State::ending, [&](const CommandStates&) { return Loss{code, message}; });
}

void Supervisor::end() {
  record_end(PYRO_ERROR_NOT_STARTED, "the client that was starting the VM went away");
  state_ = State::ending;
  clients_.stop_listening();
  const std::vector<ClientId> behind = clients_.flush();
  if (behind.empty()) {
    return io_.stop();
  }
  // One that goes meanwhile leads here again.
  if (std::exchange(is_ending_, true)) {
    return;
  }
  release_machine();
  start_deadline(end_timer_, deadlines_.last_words_ms, [this] { io_.stop(); });
  for (const ClientId client : behind) {
    clients_.when_sent(client, [this] { end(); });
  }
}

}  // namespace pyro::supervisor
