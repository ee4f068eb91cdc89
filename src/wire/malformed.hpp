// What every decoder of this room says of a message that is not one.
// Thread rule: any thread.
#pragma once

#include "base/result.hpp"

#include <string_view>

namespace pyro::wire {

inline base::Error malformed(std::string_view message) {
  return base::make_error(PYRO_ERROR_INTERNAL, "the peer sent a malformed {} message", message);
}

}  // namespace pyro::wire
