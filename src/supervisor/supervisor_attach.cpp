// Clients of a Supervisor that attach to commands which somebody else started. They read what a command prints in its
// journal, so that none of them can make it wait, and none costs memory for that; here they hear when there is more.
#include "supervisor/supervisor.hpp"

#include "supervisor/unexpected.hpp"
#include "wire/attach_messages.hpp"

#include <algorithm>
#include <csignal>

namespace pyro::supervisor {

using wire::FrameType;

namespace {

// All attachments of a VM: each may hold a window of input.
constexpr std::size_t kMaxAttachments = 256;

}  // namespace

base::Status Supervisor::join_command(ClientId client, const wire::Frame& frame) {
  if (find_command(client, frame.stream) != commands_.end() ||
      find_attachment(client, frame.stream) != attachments_.end()) {
    return unexpected("client");
  }
  PYRO_TRY_ASSIGN(const wire::Join join, wire::Join::decode(frame.payload));
  const auto found = std::find_if(commands_.begin(), commands_.end(), [&join](const auto& entry) {
    const Command& command = entry.second;
    return command.number == join.number && command.session->dispatched() && !command.session->exited();
  });
  if (found == commands_.end() || is_over()) {
    clients_.send_control(client, wire::message_frame(FrameType::joined, frame.stream, wire::Joined{}));
    return base::success();
  }
  if (attachments_.size() >= kMaxAttachments) {
    return base::make_error(PYRO_ERROR_LIMIT, "at most {} clients are attached to commands of a VM", kMaxAttachments);
  }
  auto& [agent_stream, command] = *found;
  Session& session = *command.session;
  const SharedInput::Source source = next_attachment_++;
  attachments_.emplace(source, Attachment{client, frame.stream, agent_stream, join.takes_input});
  if (join.takes_input) {
    session.join(source);
  }
  clients_.send_control(client,
                        wire::message_frame(FrameType::joined, frame.stream, wire::Joined{true, session.input_open()}));
  if (session.exec().pty && join.rows != 0) {
    PYRO_TRY(session.handle_joined(
        source, {FrameType::resize, frame.stream, 0, wire::Resize{join.rows, join.columns}.encode()}));
    // A size that is as it was says nothing to a program; this makes it draw its screen anew, if it has one.
    if (session.started()) {
      PYRO_TRY(session.handle_joined(source, {FrameType::signal, frame.stream, 0, wire::Signal{SIGWINCH}.encode()}));
    }
  }
  if (!command.reader_timer) {
    watch_reader(agent_stream, session.held_bytes(), command.printed_bytes);
  }
  return base::success();
}

Supervisor::Attachments::iterator Supervisor::find_attachment(ClientId client, std::uint32_t client_stream) {
  return std::find_if(attachments_.begin(), attachments_.end(), [client, client_stream](const auto& entry) {
    return entry.second.client == client && entry.second.client_stream == client_stream;
  });
}

base::Status Supervisor::handle_attachment_frame(Attachments::iterator found, const wire::Frame& frame) {
  auto& [source, attachment] = *found;
  const auto command = commands_.find(attachment.agent_stream);
  if (command == commands_.end()) {
    // The VM is over.
    return base::success();
  }
  if (frame.type == FrameType::watch) {
    PYRO_TRY_ASSIGN(const wire::Watch watch, wire::Watch::decode(frame.payload));
    attachment.watches = watch.seen_bytes;
    tell_printed(attachment.agent_stream);
    return base::success();
  }
  if (frame.type == FrameType::data && !attachment.takes_input) {
    return unexpected("client");
  }
  if (frame.type == FrameType::resize && !command->second.session->exec().pty) {
    // Sent before it could know.
    return base::success();
  }
  PYRO_TRY(command->second.session->handle_joined(source, frame));
  lose_vm_if_behind();
  return base::success();
}

void Supervisor::tell_printed(std::uint32_t agent_stream) {
  const std::uint64_t total = commands_.at(agent_stream).printed_bytes;
  for (auto& [source, attachment] : attachments_) {
    if (attachment.agent_stream == agent_stream && attachment.watches && total > *attachment.watches) {
      attachment.watches.reset();
      clients_.send_control(attachment.client,
                            wire::message_frame(FrameType::printed, attachment.client_stream, wire::Printed{total}));
    }
  }
}

void Supervisor::tell_attached_exit(std::uint32_t agent_stream, const wire::Exit& exit) {
  std::erase_if(attachments_, [&](const auto& entry) {
    const Attachment& attachment = entry.second;
    if (attachment.agent_stream != agent_stream) {
      return false;
    }
    // As data: it must not overtake credit or news that came before.
    clients_.send_data(attachment.client, wire::message_frame(FrameType::exit, attachment.client_stream, exit));
    return true;
  });
}

void Supervisor::forget_attachments(ClientId client) {
  std::erase_if(attachments_, [&](const auto& entry) {
    const auto& [source, attachment] = entry;
    if (attachment.client != client) {
      return false;
    }
    const auto command = commands_.find(attachment.agent_stream);
    if (attachment.takes_input && command != commands_.end()) {
      command->second.session->leave(source);
    }
    return true;
  });
}

bool Supervisor::has_attachments(std::uint32_t agent_stream) const {
  return std::any_of(attachments_.begin(), attachments_.end(),
                     [agent_stream](const auto& entry) { return entry.second.agent_stream == agent_stream; });
}

void Supervisor::watch_reader(std::uint32_t agent_stream, std::size_t held_before, std::uint64_t printed_before) {
  Command& command = commands_.at(agent_stream);
  command.reader_timer = std::make_unique<boost::asio::steady_timer>(io_);
  start_deadline(
      *command.reader_timer, deadlines_.reader_patience_ms, [this, agent_stream, held_before, printed_before] {
        const auto found = commands_.find(agent_stream);
        if (found == commands_.end() || found->second.session->exited()) {
          return;
        }
        const Session& session = *found->second.session;
        if (session.detached() || !has_attachments(agent_stream)) {
          found->second.reader_timer.reset();
          return;
        }
        const std::size_t held = session.held_bytes();
        const std::uint64_t printed = found->second.printed_bytes;
        if (held != 0 && held == held_before && printed == printed_before && !depends_on(found->second.client)) {
          // The journal has what it missed. At once: what it is told waits behind what it does not read.
          found->second.session->detach();
          refuse(found->second.client,
                 base::make_error(
                     PYRO_ERROR_LIMIT,
                     "command {} waited for this client to take in what it prints, and others are attached to "
                     "it: it goes on without this one; attach to it again",
                     found->second.number));
          return;
        }
        watch_reader(agent_stream, held, printed);
      });
}

}  // namespace pyro::supervisor
