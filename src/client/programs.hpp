// Where the programs are that the library starts or hands on. Thread rule: free functions.
#pragma once

#include "client/settings.hpp"

#include "base/fd.hpp"

#include <string>

namespace pyro::client {

/// Path of a helper such as "pyro-vm". Errors: UNSUPPORTED, with what to do.
base::Result<std::string> find_helper(const Settings& settings, const char* name);

/// Path of QEMU: the distribution's before whatever PATH says. Errors: UNSUPPORTED, with the package.
base::Result<std::string> find_qemu(const Settings& settings);

/// What a supervisor needs for an engine, opened: QEMU's program, or /dev/kvm. Errors: UNSUPPORTED.
base::Result<base::Fd> open_engine(const Settings& settings, pyro_engine engine);

}  // namespace pyro::client
