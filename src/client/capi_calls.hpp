// The two forms of a call that may wait, for the entries of the C ABI: started, and waited for.
// Thread rule: as capi.hpp.
#pragma once

#include "client/capi.hpp"

#include <memory>

namespace pyro::client {

using OpResult = base::Result<std::unique_ptr<Op>>;

template <typename Options>
base::Result<Options> required(const Options* given, const char* name) {
  if (given == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "{} is NULL", name);
  }
  return read_options(given, name);
}

/// `make` gives the operation.
template <typename Make>
pyro_status start(pyro_context* context, pyro_op** op, pyro_error** error, Make&& make) noexcept {
  return guard(error, [&]() -> base::Status {
    PYRO_TRY(check(context));
    if (op == nullptr) {
      return base::make_error(PYRO_ERROR_INVALID, "op is NULL");
    }
    PYRO_TRY_ASSIGN(std::unique_ptr<Op> core, make());
    return hand_out(std::move(core), op);
  });
}

/// Waits for it and hands out `part` of its last event.
template <typename Out, typename Part, typename Make>
pyro_status wait(pyro_context* context, Out** out, pyro_error** error, Part part, Make&& make) noexcept {
  return guard(error, [&]() -> base::Result<pyro_status> {
    PYRO_TRY(check(context));
    if (out == nullptr) {
      return base::make_error(PYRO_ERROR_INVALID, "the place for the outcome is NULL");
    }
    PYRO_TRY_ASSIGN(const std::unique_ptr<Op> core, make());
    Event& last = run_to_end(*core, [](const Event&) {});
    if (last.error) {
      return report(std::move(last.error), error);
    }
    *out = (last.*part).release();
    return PYRO_OK;
  });
}

}  // namespace pyro::client
