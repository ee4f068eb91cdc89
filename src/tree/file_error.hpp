// Errors about files, each with the file in it. Thread rule: functions without state.
#pragma once

#include "base/result.hpp"

#include <string_view>

namespace pyro::tree {

/// "<what> "<path>": <why>", in the group that tells what a caller can do: NOT_FOUND, EXISTS, STATE (it is of another
/// kind), LIMIT, INVALID, INTERNAL.
base::Error file_error(int sys_errno, std::string_view what, std::string_view path);

/// A path as messages show it: printable, in quotes, the end of a long one cut.
std::string shown(std::string_view path);

}  // namespace pyro::tree
