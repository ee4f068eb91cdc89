#include "supervisor/channel_relay.hpp"

#include <algorithm>

namespace pyro::supervisor {

base::Status ChannelRelay::receive(base::ByteView bytes, bool end) {
  if (end_received_) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the peer sent data after the end of a channel");
  }
  const auto size = static_cast<std::uint32_t>(bytes.size());
  if (!receive_credit_.receive(size)) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the peer sent more than it was granted");
  }
  end_received_ = end;
  if (discarding_) {
    consumed(size);
    return base::success();
  }
  const bool straight = open_ && held_.empty() && size <= send_credit_.available();
  if (straight && (size > 0 || end)) {
    send_credit_.spend(size);
    finished_ = end;
    sinks_.forward(bytes, end);
    consumed(size);
    return base::success();
  }
  // A receiver who is always a little behind never empties it: what has gone must not stay.
  if (held_offset_ > held_.size() / 2) {
    held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(held_offset_));
    held_offset_ = 0;
  }
  held_.insert(held_.end(), bytes.begin(), bytes.end());
  pump();
  return base::success();
}

base::Status ChannelRelay::grant(std::uint32_t bytes) {
  if (!send_credit_.grant(bytes)) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the peer granted more than the window");
  }
  pump();
  return base::success();
}

void ChannelRelay::open() {
  open_ = true;
  pump();
}

void ChannelRelay::end() {
  end_received_ = true;
  pump();
}

void ChannelRelay::discard() {
  discarding_ = true;
  consumed(static_cast<std::uint32_t>(held_.size() - held_offset_));
  held_.clear();
  held_offset_ = 0;
}

void ChannelRelay::pump() {
  if (!open_ || discarding_ || finished_) {
    return;
  }
  while (held_offset_ < held_.size() && send_credit_.available() > 0) {
    const std::size_t left = held_.size() - held_offset_;
    const std::size_t size = std::min({left, wire::kMaxDataBytes, std::size_t{send_credit_.available()}});
    const bool last = end_received_ && size == left;
    send_credit_.spend(static_cast<std::uint32_t>(size));
    finished_ = last;
    sinks_.forward(base::ByteView(held_).subspan(held_offset_, size), last);
    held_offset_ += size;
    consumed(static_cast<std::uint32_t>(size));
  }
  if (held_offset_ == held_.size()) {
    held_.clear();
    held_offset_ = 0;
    if (end_received_ && !finished_) {
      finished_ = true;
      sinks_.forward({}, true);
    }
  }
}

void ChannelRelay::consumed(std::uint32_t bytes) {
  const std::uint32_t due = receive_credit_.consume(bytes);
  // A sender that has ended needs no more credit.
  if (due > 0 && !end_received_) {
    sinks_.grant(due);
  }
}

}  // namespace pyro::supervisor
