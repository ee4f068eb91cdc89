// Turning a booted guest into one particular VM.
// Thread rule: one thread.
#pragma once

#include "guest/boot.hpp"
#include "wire/messages.hpp"

namespace pyro::guest {

/// Entropy, clock, host name and machine id from the message; then scratch disk, overlay root and
/// /workspace. Once per guest.
base::Status personalise(const wire::Personalise& message, const Machine& machine);

}  // namespace pyro::guest
