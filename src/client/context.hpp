// What every operation of one pyro_context shares. Operations keep it alive, so that a context may be
// closed while they are under way. Thread rule: settings are immutable, the log and the index have their own locks.
#pragma once

#include "client/log_ring.hpp"
#include "client/settings.hpp"

#include <memory>

namespace pyro::client {

class VmIndex;

struct Context {
  explicit Context(Settings given);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  const Settings settings;
  LogRing log;
  /// Of the VMs in the home folder; has its own lock.
  const std::unique_ptr<VmIndex> index;
};

using ContextPtr = std::shared_ptr<Context>;

}  // namespace pyro::client
