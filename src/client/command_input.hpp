// The standard input of a command on its way to a supervisor: in frames, within the credit that this grants.
// Thread rule: as Op.
#pragma once

#include "wire/messages.hpp"

#include <algorithm>
#include <utility>

namespace pyro::client {

class CommandInput {
 public:
  /// `queue` outlives this.
  CommandInput(wire::FrameQueue& queue, std::uint32_t stream) : queue_(queue), stream_(stream) {}

  /// How much may be given to push() now.
  [[nodiscard]] std::size_t room() const noexcept { return credit_.available(); }
  /// Its end was sent, or nobody reads it.
  [[nodiscard]] bool is_closed() const noexcept { return closed_; }
  void close() noexcept { closed_ = true; }

  /// With `end` nothing follows.
  void push(base::ByteView bytes, bool end) {
    do {
      const auto part = bytes.first(std::min(bytes.size(), wire::kMaxDataBytes));
      bytes = bytes.subspan(part.size());
      credit_.spend(static_cast<std::uint32_t>(part.size()));
      queue_.push_data(wire::data_frame(stream_, wire::Channel::in, part, end && bytes.empty()));
    } while (!bytes.empty());
    if (end) {
      closed_ = true;
      wants_room_ = false;
    }
  }
  /// Pushes as much of it as there is room for, and gives how much that is. If it is not all, room is wanted.
  std::size_t write(base::ByteView bytes) {
    const auto now = bytes.first(std::min(bytes.size(), room()));
    wants_room_ = now.size() < bytes.size();
    if (!now.empty()) {
      push(now, false);
    }
    return now.size();
  }
  /// Somebody has input that there is no room for.
  void want_room() noexcept { wants_room_ = true; }
  /// Whether somebody waited for the room that there is now; that one is to be told.
  [[nodiscard]] bool take_wish_for_room() noexcept { return std::exchange(wants_room_, false); }

  /// The supervisor granted credit. Errors: INTERNAL.
  base::Status take_credit(const wire::Frame& frame) {
    PYRO_TRY_ASSIGN(const auto credit, wire::Credit::decode(frame.payload));
    if (static_cast<wire::Channel>(frame.channel_number()) != wire::Channel::in || !credit_.grant(credit.bytes)) {
      return base::make_error(PYRO_ERROR_INTERNAL, "pyro-vm granted more input than it may");
    }
    return base::success();
  }

 private:
  wire::FrameQueue& queue_;
  std::uint32_t stream_;
  wire::SendCredit credit_;
  bool closed_ = false;
  bool wants_room_ = false;
};

}  // namespace pyro::client
