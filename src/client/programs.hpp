// Where the programs are that the library starts or hands on. Thread rule: free functions.
#pragma once

#include "client/settings.hpp"

#include <string>

namespace pyro::client {

/// Path of a helper such as "pyro-vm". Errors: UNSUPPORTED, with what to do.
base::Result<std::string> find_helper(const Settings& settings, const char* name);

/// Path of an executable in the folders of `search_path`, "" if there is none.
std::string find_in_path(const std::string& search_path, const std::string& name);

/// Path of QEMU: the distribution's before whatever PATH says. Errors: UNSUPPORTED, with the package.
base::Result<std::string> find_qemu(const Settings& settings);

}  // namespace pyro::client
