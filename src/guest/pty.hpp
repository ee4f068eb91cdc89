// Pseudo terminals of commands.
// Thread rule: functions without state.
#pragma once

#include "base/fd.hpp"

#include <cstdint>
#include <string_view>

namespace pyro::guest {

struct Pty {
  /// Non-blocking.
  base::Fd master;
  base::Fd terminal;
};

/// A new pair from the commands' devpts.
base::Result<Pty> open_pty(std::uint16_t rows, std::uint16_t columns);
void resize_pty(int master, std::uint16_t rows, std::uint16_t columns);
/// What to write to the master so that the reader sees the end of its input; empty if the terminal is in a
/// mode that has none.
std::string_view end_of_input(int master, bool at_line_start);

}  // namespace pyro::guest
