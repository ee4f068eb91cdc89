// What is said of a peer whose frame makes no sense now.
// Thread rule: any thread.
#pragma once

#include "base/result.hpp"

namespace pyro::supervisor {

/// `who`: "client" or "guest".
inline base::Error unexpected(const char* who) {
  return base::make_error(PYRO_ERROR_INTERNAL, "the {} sent a frame that makes no sense now", who);
}

}  // namespace pyro::supervisor
