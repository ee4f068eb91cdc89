#include "wire/frame.hpp"

#include <algorithm>

namespace pyro::wire {

namespace {

bool known(FrameType type) noexcept {
  switch (type) {
    case FrameType::hello:
    case FrameType::personalise:
    case FrameType::ready:
    case FrameType::failed:
    case FrameType::ping:
    case FrameType::pong:
    case FrameType::power_off:
    case FrameType::guest_reset:
    case FrameType::configure:
    case FrameType::progress:
    case FrameType::status_request:
    case FrameType::status:
    case FrameType::log:
    case FrameType::attach:
    case FrameType::stop:
    case FrameType::stopped:
    case FrameType::set_ttl:
    case FrameType::discard:
    case FrameType::keep:
    case FrameType::exec:
    case FrameType::started:
    case FrameType::data:
    case FrameType::credit:
    case FrameType::signal:
    case FrameType::resize:
    case FrameType::kill:
    case FrameType::exit:
    case FrameType::dispatched:
    case FrameType::join:
    case FrameType::joined:
    case FrameType::watch:
    case FrameType::printed:
      return true;
  }
  return false;
}

std::size_t max_payload(FrameType type) noexcept {
  switch (type) {
    case FrameType::data:
      return kMaxDataBytes;
    case FrameType::exec:
      return kMaxControlBytes;
    default:
      return 64 * 1024;
  }
}

}  // namespace

base::Bytes encode_frame(FrameType type, std::uint32_t stream, std::uint8_t flags, base::ByteView payload) {
  base::Bytes out(kHeaderBytes + payload.size());
  const auto put = [&out](std::size_t at, std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i) {
      out[at + static_cast<std::size_t>(i)] = static_cast<std::byte>(value >> (8 * i));
    }
  };
  put(0, payload.size(), 4);
  put(4, stream, 4);
  put(8, static_cast<std::uint8_t>(type), 1);
  put(9, flags, 1);
  put(10, 0, 2);
  std::copy(payload.begin(), payload.end(), out.begin() + kHeaderBytes);
  return out;
}

void FrameParser::feed(base::ByteView bytes) {
  if (consumed_ > 0) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(consumed_));
    consumed_ = 0;
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

base::Result<std::optional<Frame>> FrameParser::next() {
  const auto broken = [this](std::string_view why) {
    dead_ = true;
    return base::make_error(PYRO_ERROR_INTERNAL, "the peer sent a malformed frame: {}", why);
  };
  if (dead_) {
    return broken("the link is closed");
  }
  const base::ByteView unread = base::ByteView(buffer_).subspan(consumed_);
  if (unread.size() < kHeaderBytes) {
    return std::optional<Frame>();
  }
  base::ByteReader header(unread.first(kHeaderBytes));
  const std::uint32_t size = header.u32();
  Frame frame;
  frame.stream = header.u32();
  frame.type = static_cast<FrameType>(header.u8());
  frame.flags = header.u8();
  if (header.u16() != 0) {
    return broken("reserved bits are set");
  }
  if (!known(frame.type)) {
    return broken("unknown type");
  }
  if (size > max_payload(frame.type)) {
    return broken("too long");
  }
  if ((frame.stream == 0) != (frame.type < FrameType::exec)) {
    return broken("wrong stream for its type");
  }
  const bool has_channel = frame.type == FrameType::data || frame.type == FrameType::credit;
  const std::uint8_t allowed_flags =
      frame.type == FrameType::data ? kChannelMask | kFlagEnd : (has_channel ? kChannelMask : 0);
  if ((frame.flags & ~allowed_flags) != 0 || frame.channel_number() > static_cast<std::uint8_t>(Channel::err)) {
    return broken("unknown flags");
  }
  if (unread.size() < kHeaderBytes + size) {
    return std::optional<Frame>();
  }
  const base::ByteView payload = unread.subspan(kHeaderBytes, size);
  frame.payload.assign(payload.begin(), payload.end());
  consumed_ += kHeaderBytes + size;
  return std::optional<Frame>(std::move(frame));
}

void FrameQueue::push(std::deque<base::Bytes>& queue, base::Bytes frame) {
  pending_ += frame.size();
  queue.push_back(std::move(frame));
}

void FrameQueue::take_next() {
  auto& queue = control_.empty() ? data_ : control_;
  base::Bytes& frame = queue.front();
  if (&queue == &control_) {
    pending_control_ -= frame.size();
  }
  if (current_.empty()) {
    current_ = std::move(frame);
  } else {
    current_.insert(current_.end(), frame.begin(), frame.end());
  }
  queue.pop_front();
}

base::ByteView FrameQueue::front() {
  if (current_.empty()) {
    // A large frame goes as it is, without a copy.
    const auto next_bytes = [this] { return (control_.empty() ? data_ : control_).front().size(); };
    while (!(control_.empty() && data_.empty()) &&
           (current_.empty() || current_.size() + next_bytes() <= kGatheredBytes)) {
      take_next();
    }
    current_offset_ = 0;
  }
  return base::ByteView(current_).subspan(current_offset_);
}

void FrameQueue::advance(std::size_t written) {
  pending_ -= written;
  current_offset_ += written;
  if (current_offset_ == current_.size()) {
    current_.clear();
    current_offset_ = 0;
  }
}

}  // namespace pyro::wire
