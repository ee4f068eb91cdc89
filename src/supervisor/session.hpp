// Session: one command, between the client that asked for it and the agent that runs it.
// Pure code: frames in, frames out; the supervisor owns the clocks and the links.
// Thread rule: one thread at a time.
#pragma once

#include "supervisor/channel_relay.hpp"
#include "wire/messages.hpp"

#include <functional>
#include <vector>

namespace pyro::supervisor {

class Session {
 public:
  /// Where frames go. `data` frames keep their order among each other, control frames overtake them.
  struct Sinks {
    std::function<void(base::Bytes)> client_control;
    std::function<void(base::Bytes)> client_data;
    std::function<void(base::Bytes)> agent_control;
    std::function<void(base::Bytes)> agent_data;
  };

  Session(std::uint32_t client_stream, std::uint32_t agent_stream, wire::Exec exec, Sinks sinks);

  /// The guest is ready: the command goes out, and what the client sent ahead follows it.
  void dispatch();
  /// A frame of this command's stream. An error means that the sender broke the protocol.
  base::Status handle_client(const wire::Frame& frame);
  base::Status handle_agent(const wire::Frame& frame);

  /// The time is over: kills the command's process tree. The agent's exit becomes a timed-out one.
  void time_out();
  /// The guest did not obey time_out(): reports the timed-out exit without it.
  void give_up();

  [[nodiscard]] bool dispatched() const noexcept { return dispatched_; }
  [[nodiscard]] bool started() const noexcept { return started_; }
  /// The client has been told the exit.
  [[nodiscard]] bool finished() const noexcept { return finished_; }
  [[nodiscard]] std::uint64_t timeout_ms() const noexcept { return exec_.timeout_ms; }
  [[nodiscard]] std::uint32_t agent_stream() const noexcept { return agent_stream_; }

 private:
  // Signals that a client sends before its command is started are kept; more make no sense.
  static constexpr std::size_t kMaxEarlyFrames = 16;

  void to_agent(const wire::Frame& frame);
  base::Status handle_exit(const wire::Frame& frame);
  void finish_if_drained();

  std::uint32_t client_stream_;
  std::uint32_t agent_stream_;
  wire::Exec exec_;
  Sinks sinks_;
  ChannelRelay in_;
  ChannelRelay out_;
  ChannelRelay err_;
  std::vector<wire::Frame> early_;
  wire::Exit exit_;
  std::int64_t started_ms_ = 0;
  bool dispatched_ = false;
  bool started_ = false;
  bool timed_out_ = false;
  bool exited_ = false;
  bool finished_ = false;
};

}  // namespace pyro::supervisor
