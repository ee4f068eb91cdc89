#include "supervisor/shared_input.hpp"

#include <algorithm>

namespace pyro::supervisor {

base::Status SharedInput::receive(Source source, base::ByteView bytes, bool end) {
  const auto found = sources_.find(source);
  if (found == sources_.end() || found->second.ended) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the peer sent data after the end of a channel");
  }
  if (!found->second.credit.receive(static_cast<std::uint32_t>(bytes.size()))) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the peer sent more than it was granted");
  }
  found->second.ended = end;
  if (!is_open()) {
    consumed(source, bytes.size());
    return base::success();
  }
  // A receiver who is always a little behind never empties it: what has gone must not stay.
  if (held_offset_ > held_.size() / 2) {
    held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(held_offset_));
    held_offset_ = 0;
  }
  if (!bytes.empty()) {
    held_.insert(held_.end(), bytes.begin(), bytes.end());
    shares_.push_back({source, bytes.size()});
  }
  closed_ = end;
  pump();
  return base::success();
}

base::Status SharedInput::grant(std::uint32_t bytes) {
  if (!send_credit_.grant(bytes)) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the peer granted more than the window");
  }
  pump();
  return base::success();
}

void SharedInput::open() {
  open_ = true;
  pump();
}

void SharedInput::end() {
  closed_ = true;
  pump();
}

void SharedInput::discard() {
  discarding_ = true;
  for (const Share& share : std::exchange(shares_, {})) {
    consumed(share.source, share.size);
  }
  held_.clear();
  held_offset_ = 0;
}

void SharedInput::pump() {
  if (!open_ || discarding_ || finished_) {
    return;
  }
  while (held_bytes() > 0 && send_credit_.available() > 0) {
    const std::size_t size = std::min({held_bytes(), wire::kMaxDataBytes, std::size_t{send_credit_.available()}});
    const bool last = closed_ && size == held_bytes();
    send_credit_.spend(static_cast<std::uint32_t>(size));
    finished_ = last;
    sinks_.forward(base::ByteView(held_).subspan(held_offset_, size), last);
    held_offset_ += size;
    for (std::size_t left = size; left > 0;) {
      Share& share = shares_.front();
      const std::size_t part = std::min(left, share.size);
      const Source source = share.source;
      left -= part;
      share.size -= part;
      if (share.size == 0) {
        shares_.pop_front();
      }
      consumed(source, part);
    }
  }
  if (held_bytes() == 0) {
    held_.clear();
    held_offset_ = 0;
    if (closed_ && !finished_) {
      finished_ = true;
      sinks_.forward({}, true);
    }
  }
}

void SharedInput::consumed(Source source, std::size_t bytes) {
  const auto found = sources_.find(source);
  if (found == sources_.end()) {
    return;
  }
  const std::uint32_t due = found->second.credit.consume(static_cast<std::uint32_t>(bytes));
  // A sender that has ended needs no more credit.
  if (due > 0 && !found->second.ended) {
    sinks_.grant(source, due);
  }
}

}  // namespace pyro::supervisor
