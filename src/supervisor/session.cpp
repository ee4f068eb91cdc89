#include "supervisor/session.hpp"

#include "base/clock.hpp"
#include "base/text.hpp"
#include "supervisor/unexpected.hpp"

#include <utility>

namespace pyro::supervisor {

using wire::Channel;
using wire::FrameType;

namespace {

// What timeout(1) exits with, and what the contract promises.
constexpr std::int32_t kTimedOutExitCode = 124;
// Room for a reason with a path in it.
constexpr std::size_t kMaxMessageBytes = 1024;

// A guest may say why it cannot start a command, not what became of the VM.
pyro_status believed(pyro_status claimed) noexcept {
  switch (claimed) {
    case PYRO_OK:
    case PYRO_ERROR_LIMIT:
    case PYRO_ERROR_ENVIRONMENT:
    case PYRO_ERROR_INTERNAL:
      return claimed;
    default:
      // No such user or directory: the caller's to mend.
      return PYRO_ERROR_INVALID;
  }
}

}  // namespace

Session::Session(std::uint32_t client_stream, std::uint32_t agent_stream, wire::Exec exec, Sinks sinks)
    : client_stream_(client_stream),
      agent_stream_(agent_stream),
      exec_(std::move(exec)),
      sinks_(std::move(sinks)),
      in_({[this](base::ByteView bytes, bool end) {
             sinks_.agent_data(wire::data_frame(agent_stream_, Channel::in, bytes, end));
           },
           [this](SharedInput::Source source, std::uint32_t bytes) {
             if (source == kFirst) {
               sinks_.client_control(wire::credit_frame(client_stream_, Channel::in, bytes));
             } else if (sinks_.joined_credit) {
               sinks_.joined_credit(source, bytes);
             }
           }}),
      out_({[this](base::ByteView bytes, bool end) {
              sinks_.client_data(wire::data_frame(client_stream_, Channel::out, bytes, end));
            },
            [this](std::uint32_t bytes) {
              sinks_.agent_control(wire::credit_frame(agent_stream_, Channel::out, bytes));
            }}),
      err_({[this](base::ByteView bytes, bool end) {
              sinks_.client_data(wire::data_frame(client_stream_, Channel::err, bytes, end));
            },
            [this](std::uint32_t bytes) {
              sinks_.agent_control(wire::credit_frame(agent_stream_, Channel::err, bytes));
            }}) {
  in_.add(kFirst);
  out_.open();
  err_.open();
}

void Session::dispatch() {
  dispatched_ = true;
  sinks_.agent_control(wire::message_frame(FrameType::exec, agent_stream_, exec_));
  // A command may run for days; its arguments may be large.
  exec_.argv = {};
  exec_.env = {};
  exec_.file_request = {};
  in_.open();
}

base::Status Session::handle_client(const wire::Frame& frame) {
  switch (frame.type) {
    case FrameType::data:
      if (frame.channel_number() != static_cast<std::uint8_t>(Channel::in)) {
        return unexpected("client");
      }
      return in_.receive(kFirst, frame.payload, frame.ends_channel());
    case FrameType::credit: {
      PYRO_TRY_ASSIGN(const wire::Credit credit, wire::Credit::decode(frame.payload));
      if (frame.channel_number() == static_cast<std::uint8_t>(Channel::in)) {
        return unexpected("client");
      }
      PYRO_TRY((frame.channel_number() == static_cast<std::uint8_t>(Channel::out) ? out_ : err_).grant(credit.bytes));
      finish_if_drained();
      return base::success();
    }
    default:
      return handle_control(frame, false);
  }
}

base::Status Session::handle_joined(SharedInput::Source source, const wire::Frame& frame) {
  if (frame.type != FrameType::data) {
    return handle_control(frame, true);
  }
  if (frame.channel_number() != static_cast<std::uint8_t>(Channel::in)) {
    return unexpected("client");
  }
  return in_.receive(source, frame.payload, frame.ends_channel());
}

base::Status Session::handle_control(const wire::Frame& frame, bool joined) {
  switch (frame.type) {
    case FrameType::signal:
      PYRO_TRY(wire::Signal::decode(frame.payload));
      break;
    case FrameType::resize:
      PYRO_TRY(wire::Resize::decode(frame.payload));
      break;
    case FrameType::kill:
      break;
    default:
      return unexpected("client");
  }
  if (exited_) {
    return base::success();
  }
  if (!started_) {
    return keep(frame, joined);
  }
  to_agent(frame);
  return base::success();
}

base::Status Session::keep(const wire::Frame& frame, bool joined) {
  if (frame.type == FrameType::kill) {
    early_.kill = true;
  } else if (frame.type == FrameType::resize) {
    early_.resize = frame;
  } else if (std::size_t& count = early_.signal_counts[joined ? 1 : 0]; count < wire::kMaxEarlySignals) {
    early_.signals.push_back(frame);
    ++count;
  } else {
    return base::make_error(PYRO_ERROR_LIMIT, "the client sent more than {} signals before the command was started",
                            wire::kMaxEarlySignals);
  }
  return base::success();
}

void Session::to_agent(const wire::Frame& frame) {
  sinks_.agent_control(wire::encode_frame(frame.type, agent_stream_, 0, frame.payload));
}

base::Status Session::handle_agent(const wire::Frame& frame) {
  if (gave_up_) {
    // A slow guest: the client has its answer, or gets it as soon as it reads.
    return base::success();
  }
  if (!dispatched_ || exited_) {
    return unexpected("guest");
  }
  switch (frame.type) {
    case FrameType::started:
      return handle_started();
    case FrameType::data: {
      if (frame.channel_number() == static_cast<std::uint8_t>(Channel::in)) {
        return unexpected("guest");
      }
      const auto channel = static_cast<Channel>(frame.channel_number());
      if (sinks_.record) {
        sinks_.record(channel, frame.payload);
      }
      return (channel == Channel::out ? out_ : err_).receive(frame.payload, frame.ends_channel());
    }
    case FrameType::credit: {
      PYRO_TRY_ASSIGN(const wire::Credit credit, wire::Credit::decode(frame.payload));
      if (frame.channel_number() != static_cast<std::uint8_t>(Channel::in)) {
        return unexpected("guest");
      }
      return in_.grant(credit.bytes);
    }
    case FrameType::exit:
      return handle_exit(frame);
    default:
      return unexpected("guest");
  }
}

base::Status Session::handle_started() {
  if (started_) {
    return unexpected("guest");
  }
  started_ = true;
  started_ms_ = base::monotonic_ms();
  sinks_.client_control(wire::bare_frame(FrameType::started, client_stream_));
  const Early early = std::exchange(early_, {});
  if (early.resize) {
    to_agent(*early.resize);
  }
  for (const auto& signal : early.signals) {
    to_agent(signal);
  }
  if (early.kill) {
    sinks_.agent_control(wire::bare_frame(FrameType::kill, agent_stream_));
  }
  return base::success();
}

base::Status Session::handle_exit(const wire::Frame& frame) {
  PYRO_TRY_ASSIGN(wire::Exit exit, wire::Exit::decode(frame.payload));
  if (exit.failure != wire::ExecFailure::none && started_) {
    return unexpected("guest");
  }
  exit_ = std::move(exit);
  exit_.message = base::printable(exit_.message, kMaxMessageBytes);
  exit_.status = believed(exit_.status);
  exited_ = true;
  // One that had ended in time, and whose exit came late, has not timed out. 0: not known.
  exit_.timed_out = timed_out_ && (exit_.duration_ms == 0 || exit_.duration_ms >= exec_.timeout_ms);
  if (exit_.timed_out) {
    exit_.exit_code = kTimedOutExitCode;
  }
  if (sinks_.record_end) {
    sinks_.record_end(exit_);
  }
  in_.discard();
  out_.end();
  err_.end();
  finish_if_drained();
  return base::success();
}

void Session::detach() {
  detached_ = true;
  if (exec_.ends_with_client && dispatched_ && !exited_) {
    sinks_.agent_control(wire::bare_frame(FrameType::kill, agent_stream_));
  }
  leave(kFirst);
  out_.discard();
  err_.discard();
  finish_if_drained();
}

void Session::leave(SharedInput::Source source) {
  in_.remove(source);
  // Somebody may come back to a terminal, as to one of a host's; a pipe without a writer has an end.
  if (!exec_.pty && !exec_.keeps_stdin && !in_.has_sources()) {
    in_.end();
  }
}

void Session::time_out() {
  if (!exited_) {
    timed_out_ = true;
    sinks_.agent_control(wire::bare_frame(FrameType::kill, agent_stream_));
  }
}

void Session::give_up() {
  if (exited_) {
    return;
  }
  exited_ = true;
  gave_up_ = true;
  exit_ = {};
  exit_.timed_out = true;
  exit_.exit_code = kTimedOutExitCode;
  exit_.duration_ms = started_ ? static_cast<std::uint64_t>(base::monotonic_ms() - started_ms_) : 0;
  exit_.message = "the guest did not end the command when its time was over";
  if (sinks_.record_end) {
    sinks_.record_end(exit_);
  }
  in_.discard();
  out_.end();
  err_.end();
  finish_if_drained();
}

void Session::finish_if_drained() {
  if (exited_ && !finished_ && (detached_ || (out_.finished() && err_.finished()))) {
    finished_ = true;
    // As data: it must not overtake the output.
    sinks_.client_data(wire::message_frame(FrameType::exit, client_stream_, exit_));
  }
}

}  // namespace pyro::supervisor
