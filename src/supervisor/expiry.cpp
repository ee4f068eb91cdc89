#include "supervisor/expiry.hpp"

#include <algorithm>

namespace pyro::supervisor {

void Expiry::set_used(std::int64_t now_ms, bool used) {
  if (used) {
    unused_since_ms_.reset();
  } else if (!unused_since_ms_) {
    unused_since_ms_ = now_ms;
  }
}

void Expiry::set_ttl(std::int64_t now_ms, std::uint64_t ttl_ms) {
  ttl_ms_ = ttl_ms;
  if (unused_since_ms_) {
    unused_since_ms_ = now_ms;
  }
}

Expiry::Reason Expiry::due(std::int64_t now_ms) const {
  if (max_lifetime_ms_ != 0 && now_ms - began_ms_ >= static_cast<std::int64_t>(max_lifetime_ms_)) {
    return Reason::lifetime;
  }
  return ttl_ms_ != 0 && unused_since_ms_ && now_ms - *unused_since_ms_ >= static_cast<std::int64_t>(ttl_ms_)
             ? Reason::unused
             : Reason::none;
}

std::optional<std::int64_t> Expiry::due_at() const {
  std::optional<std::int64_t> at;
  if (max_lifetime_ms_ != 0) {
    at = began_ms_ + static_cast<std::int64_t>(max_lifetime_ms_);
  }
  if (ttl_ms_ != 0 && unused_since_ms_) {
    const std::int64_t unused = *unused_since_ms_ + static_cast<std::int64_t>(ttl_ms_);
    at = at ? std::min(*at, unused) : unused;
  }
  return at;
}

std::optional<std::int64_t> Expiry::set_timer() {
  const auto at = due_at();
  if (!at || (timer_ms_ && *timer_ms_ <= *at)) {
    return std::nullopt;
  }
  timer_ms_ = at;
  return at;
}

std::uint64_t Expiry::idle_left_ms(std::int64_t now_ms) const {
  if (ttl_ms_ == 0) {
    return 0;
  }
  const auto idle_ms = unused_since_ms_ ? static_cast<std::uint64_t>(now_ms - *unused_since_ms_) : std::uint64_t{0};
  return ttl_ms_ - std::min(ttl_ms_ - 1, idle_ms);
}

std::uint64_t Expiry::lifetime_left_ms(std::int64_t now_ms) const {
  return max_lifetime_ms_ - std::min(max_lifetime_ms_, static_cast<std::uint64_t>(now_ms - began_ms_));
}

}  // namespace pyro::supervisor
