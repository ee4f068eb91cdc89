#pragma once

#include "base/result.hpp"

#include <utility>

#include <fmt/format.h>

namespace pyro::client {

/// PYRO_ERROR_INVALID with this message: what is said of an option that cannot be.
template <typename... Args>
base::Error invalid(fmt::format_string<Args...> format, Args&&... args) {
  return base::make_error(PYRO_ERROR_INVALID, format, std::forward<Args>(args)...);
}

}  // namespace pyro::client
