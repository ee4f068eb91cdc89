// Expiry: when a VM has had its time. Knows no clock: whoever asks says what time it is, so that tests need not wait.
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <optional>

namespace pyro::supervisor {

class Expiry {
 public:
  enum class Reason { none, unused, lifetime };

  Expiry() = default;
  /// Both in milliseconds from `now_ms` on; 0: none. It counts as used until set_used() says otherwise.
  Expiry(std::int64_t now_ms, std::uint64_t ttl_ms, std::uint64_t max_lifetime_ms)
      : began_ms_(now_ms), ttl_ms_(ttl_ms), max_lifetime_ms_(max_lifetime_ms) {}

  /// Whether somebody uses it from now on; while nobody does, the TTL runs.
  void set_used(std::int64_t now_ms, bool used);
  /// Another TTL; where it runs already, it begins anew.
  void set_ttl(std::int64_t now_ms, std::uint64_t ttl_ms);

  /// Which time is over. The lifetime goes first: it is not to be had back.
  [[nodiscard]] Reason due(std::int64_t now_ms) const;
  /// When the next one is over; nothing: none runs.
  [[nodiscard]] std::optional<std::int64_t> due_at() const;
  /// When to look at due(), for the one timer that there is; nothing: it is set, and early enough. So coming and going
  /// users do not set it each time: it may run out too early, and then says so with timer_ended().
  [[nodiscard]] std::optional<std::int64_t> set_timer();
  void timer_ended() noexcept { timer_ms_.reset(); }

  [[nodiscard]] std::uint64_t ttl_ms() const noexcept { return ttl_ms_; }
  [[nodiscard]] std::uint64_t max_lifetime_ms() const noexcept { return max_lifetime_ms_; }
  /// How much longer it goes on unused, at least 1; 0: for ever.
  [[nodiscard]] std::uint64_t idle_left_ms(std::int64_t now_ms) const;
  /// 0: it has no such limit, or has reached it.
  [[nodiscard]] std::uint64_t lifetime_left_ms(std::int64_t now_ms) const;

 private:
  std::int64_t began_ms_ = 0;
  std::uint64_t ttl_ms_ = 0;
  std::uint64_t max_lifetime_ms_ = 0;
  std::optional<std::int64_t> unused_since_ms_;
  std::optional<std::int64_t> timer_ms_;
};

}  // namespace pyro::supervisor
