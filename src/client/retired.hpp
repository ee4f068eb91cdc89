// Helper programs that have done their part and are about to end. Waiting for that is nobody's business in the middle
// of an operation: they are kept here, reaped as they end, and waited for only when the operation is destroyed.
// Thread rule: belongs to one thread at a time.
#pragma once

#include "client/poller.hpp"
#include "jail/spawn.hpp"

#include <cstdint>
#include <list>

namespace pyro::client {

class RetiredHelpers {
 public:
  RetiredHelpers() = default;
  RetiredHelpers(const RetiredHelpers&) = delete;
  RetiredHelpers& operator=(const RetiredHelpers&) = delete;
  /// Gives each what is left of Process::kGraceMs since it was added, then kills it.
  ~RetiredHelpers();

  /// Takes over a helper that was told to end. Its end wakes `poller`, which must outlive this.
  void add(jail::Process process, const Poller& poller);
  /// Reaps those that have ended. Does not wait.
  void collect() noexcept;

 private:
  struct Helper {
    jail::Process process;
    Watch watch;
    std::int64_t deadline_ms;
  };
  std::list<Helper> helpers_;
};

}  // namespace pyro::client
