// pyro-vm --jail-test: confines a process exactly as a supervisor is, makes one attempt to break out, and
// says how it ended. It takes no socket and runs no VM, so it adds nothing to a supervisor that does.
#pragma once

#include <span>

namespace pyro::supervisor {

/// `arguments`: none (lists the attempts), or {kind of thread, attempt}. The exit status of the process: 0 if
/// the attempt was denied, 1 if it succeeded, 2 if it could not be made. Most denials end the process by SIGSYS.
int jail_test(std::span<const char* const> arguments);

}  // namespace pyro::supervisor
