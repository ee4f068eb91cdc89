// What every operation of one pyro_context shares. Operations keep it alive, so that a context may be
// closed while they are under way. Thread rule: settings are immutable, the log has its own lock.
#pragma once

#include "client/log_ring.hpp"
#include "client/settings.hpp"

#include <memory>

namespace pyro::client {

struct Context {
  explicit Context(Settings given) : settings(std::move(given)), log(settings.log_level) {}

  const Settings settings;
  LogRing log;
};

using ContextPtr = std::shared_ptr<Context>;

}  // namespace pyro::client
