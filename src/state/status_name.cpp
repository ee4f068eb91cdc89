#include "state/status_name.hpp"

namespace pyro::state {

namespace {

struct Row {
  pyro_status status;
  const char* name;
};

constexpr Row kRows[] = {
    {PYRO_OK, "ok"},
    {PYRO_AGAIN, "again"},
    {PYRO_END, "end"},
    {PYRO_ERROR_INVALID, "invalid"},
    {PYRO_ERROR_FORKED, "forked"},
    {PYRO_ERROR_NOT_FOUND, "not_found"},
    {PYRO_ERROR_EXISTS, "exists"},
    {PYRO_ERROR_STATE, "state"},
    {PYRO_ERROR_UNSUPPORTED, "unsupported"},
    {PYRO_ERROR_LIMIT, "limit"},
    {PYRO_ERROR_ENVIRONMENT, "environment"},
    {PYRO_ERROR_BOOT, "boot"},
    {PYRO_ERROR_NOT_STARTED, "not_started"},
    {PYRO_ERROR_OUTCOME_UNKNOWN, "outcome_unknown"},
    {PYRO_ERROR_TIMEOUT, "timeout"},
    {PYRO_ERROR_CANCELLED, "cancelled"},
    {PYRO_ERROR_INTERNAL, "internal"},
};

}  // namespace

const char* status_name(pyro_status status) noexcept {
  for (const Row& row : kRows) {
    if (row.status == status) {
      return row.name;
    }
  }
  return "internal";
}

pyro_status status_from_name(std::string_view name) noexcept {
  for (const Row& row : kRows) {
    if (name == row.name) {
      return row.status;
    }
  }
  return PYRO_ERROR_INTERNAL;
}

}  // namespace pyro::state
