// The guest's console: for trouble only, in short lines that the supervisor quotes when a guest fails.
// Thread rule: any.
#pragma once

#include <string_view>

namespace pyro::guest {

/// Writes "pyro-agent: <message>" to /dev/console. Never fails: there is nobody else to tell.
void console_line(std::string_view message) noexcept;

}  // namespace pyro::guest
