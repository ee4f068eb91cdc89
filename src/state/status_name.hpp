// The short names of pyro_status values, as pyro_status_name() gives them and pyro-image writes them.
#pragma once

#include <pyro/pyro.h>

#include <string_view>

namespace pyro::state {

/// Lower-case name of a status, such as "not_found"; "internal" for a value that is none. Static.
const char* status_name(pyro_status status) noexcept;

/// The status with that name; PYRO_ERROR_INTERNAL for a name that is none.
pyro_status status_from_name(std::string_view name) noexcept;

}  // namespace pyro::state
