#include "guest/input_queue.hpp"

namespace pyro::guest {

bool InputQueue::push(base::Bytes bytes, bool end) {
  if (ended_ || !credit_.receive(static_cast<std::uint32_t>(bytes.size()))) {
    return false;
  }
  ended_ = end;
  if (!bytes.empty()) {
    chunks_.push_back(std::move(bytes));
  }
  return true;
}

base::ByteView InputQueue::front() const noexcept {
  return chunks_.empty() ? base::as_bytes(end_mark_) : base::ByteView(chunks_.front()).subspan(offset_);
}

std::uint32_t InputQueue::advance(std::size_t written) {
  if (written == 0) {
    return 0;
  }
  if (chunks_.empty()) {
    end_mark_.remove_prefix(written);
    return 0;
  }
  offset_ += written;
  at_line_start_ = chunks_.front()[offset_ - 1] == std::byte{'\n'};
  if (offset_ == chunks_.front().size()) {
    chunks_.pop_front();
    offset_ = 0;
  }
  return credit_.consume(static_cast<std::uint32_t>(written));
}

std::uint32_t InputQueue::discard() {
  std::uint32_t grant = 0;
  end_mark_ = {};
  while (!chunks_.empty()) {
    grant += credit_.consume(static_cast<std::uint32_t>(chunks_.front().size() - offset_));
    chunks_.pop_front();
    offset_ = 0;
  }
  return grant;
}

}  // namespace pyro::guest
