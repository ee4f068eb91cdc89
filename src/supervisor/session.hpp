// Session: one command, between the client that asked for it and the agent that runs it. Other clients may join in:
// they write to its input and act on it as the first one does, and read what it prints elsewhere (the journal).
// Pure code: frames in, frames out; the supervisor owns the clocks and the links.
// Thread rule: one thread at a time.
#pragma once

#include "supervisor/channel_relay.hpp"
#include "supervisor/shared_input.hpp"
#include "wire/messages.hpp"

#include <array>
#include <functional>
#include <optional>
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
    /// What the command printed, for the record; called before it goes to the client.
    std::function<void(wire::Channel, base::ByteView)> record = {};
    /// How it ended, for the record; called before the client is told.
    std::function<void(const wire::Exit&)> record_end = {};
    /// Credit for the input of a client that joined.
    std::function<void(SharedInput::Source, std::uint32_t bytes)> joined_credit = {};
  };

  Session(std::uint32_t client_stream, std::uint32_t agent_stream, wire::Exec exec, Sinks sinks);

  /// The guest is ready: the command goes out, and what the client sent ahead follows it.
  void dispatch();
  /// A frame of this command's stream. An error means that the sender broke the protocol.
  base::Status handle_client(const wire::Frame& frame);
  base::Status handle_agent(const wire::Frame& frame);

  /// The client is gone and the command goes on: its output is for nobody. Its input ends as in leave().
  void detach();
  /// Another client may write to its input from now on; `source` is not 0.
  void join(SharedInput::Source source) { in_.add(source); }
  /// It has gone. With the last one who may write the input ends, unless it is a terminal, or one that is to be kept.
  void leave(SharedInput::Source source);
  /// A frame of a client that joined: input (only after join()), signal, resize, kill.
  base::Status handle_joined(SharedInput::Source source, const wire::Frame& frame);
  /// The time is over: kills the command's process tree. The agent's exit becomes a timed-out one.
  void time_out();
  /// The guest did not obey time_out(): reports the timed-out exit without it. What it still says is ignored.
  void give_up();

  [[nodiscard]] bool dispatched() const noexcept { return dispatched_; }
  [[nodiscard]] bool started() const noexcept { return started_; }
  /// The time was over at some moment: time_out() was called in it.
  [[nodiscard]] bool timed_out() const noexcept { return timed_out_; }
  /// Nothing more is needed from the guest: it told the exit, or was given up.
  [[nodiscard]] bool exited() const noexcept { return exited_; }
  /// The client has been told the exit.
  [[nodiscard]] bool finished() const noexcept { return finished_; }
  /// The command; its arguments are gone once it is dispatched.
  [[nodiscard]] const wire::Exec& exec() const noexcept { return exec_; }
  /// Bytes of arguments that wait to be dispatched.
  [[nodiscard]] std::size_t waiting_bytes() const noexcept { return dispatched_ ? 0 : exec_.argument_bytes(); }
  [[nodiscard]] std::uint64_t timeout_ms() const noexcept { return exec_.timeout_ms; }
  [[nodiscard]] std::uint32_t agent_stream() const noexcept { return agent_stream_; }
  [[nodiscard]] bool input_open() const noexcept { return in_.is_open(); }
  /// Output that waits for the client who asked for the command, while the command may have to wait for that.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return out_.held_bytes() + err_.held_bytes(); }
  [[nodiscard]] bool detached() const noexcept { return detached_; }

 private:
  // What a client sends before its command is started: kept, and sent behind `started`.
  struct Early {
    std::vector<wire::Frame> signals;
    /// How many of them are of whoever asked for the command, and of all who joined: none uses up the others' room.
    std::array<std::size_t, 2> signal_counts{};
    std::optional<wire::Frame> resize;  // the last one
    bool kill = false;
  };

  /// The client who asked for the command, as a writer of its input.
  static constexpr SharedInput::Source kFirst = 0;

  void to_agent(const wire::Frame& frame);
  base::Status keep(const wire::Frame& frame, bool joined);
  base::Status handle_control(const wire::Frame& frame, bool joined);
  base::Status handle_started();
  base::Status handle_exit(const wire::Frame& frame);
  void finish_if_drained();

  std::uint32_t client_stream_;
  std::uint32_t agent_stream_;
  wire::Exec exec_;
  Sinks sinks_;
  SharedInput in_;
  ChannelRelay out_;
  ChannelRelay err_;
  Early early_;
  wire::Exit exit_;
  std::int64_t started_ms_ = 0;
  bool dispatched_ = false;
  bool started_ = false;
  bool timed_out_ = false;
  bool exited_ = false;
  bool gave_up_ = false;
  bool finished_ = false;
  bool detached_ = false;
};

}  // namespace pyro::supervisor
