// Entries of the C ABI: operations.
#include "client/capi.hpp"

#include <utility>

#include <sys/epoll.h>

using namespace pyro::client;
namespace base = pyro::base;

namespace {

base::Result<pyro_status> next_event(pyro_op* op, std::int64_t timeout_ms, pyro_event* event) {
  PYRO_TRY(check(op));
  // Before an event is taken, so that a wrong call loses none.
  PYRO_TRY(fill(event, pyro_event{}, "pyro_event"));
  if (timeout_ms < -1) {
    return base::make_error(PYRO_ERROR_INVALID, "timeout_ms is {}: -1 (as long as it takes), 0, and more are possible",
                            timeout_ms);
  }
  const pyro_status status = op->core->next(timeout_ms);
  if (status == PYRO_OK) {
    PYRO_TRY(fill(event, op->core->current().view(), "pyro_event"));
  }
  return status;
}

base::Status write_stdin(pyro_op* op, const void* data, std::size_t size, std::size_t* accepted) {
  PYRO_TRY(check(op));
  if (accepted == nullptr || (data == nullptr && size != 0)) {
    return base::make_error(PYRO_ERROR_INVALID, "{} is NULL", accepted == nullptr ? "accepted" : "data");
  }
  *accepted = 0;
  PYRO_TRY_ASSIGN(*accepted, op->core->write_stdin({static_cast<const std::byte*>(data), size}));
  return base::success();
}

// Calls `action` with the core of a handle that may be used here.
template <typename Action>
pyro_status with(pyro_op* op, pyro_error** error, Action&& action) noexcept {
  return guard(error, [&]() -> base::Status {
    PYRO_TRY(check(op));
    return action(*op->core);
  });
}

}  // namespace

namespace pyro::client {

base::Status check(const pyro_op* op) {
  if (op == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "op is NULL");
  }
  if (!op->core->is_ours()) {
    return base::make_error(PYRO_ERROR_FORKED,
                            "this operation was started before fork(), by the parent process: only the parent may "
                            "use it");
  }
  return base::success();
}

base::Status hand_out(std::unique_ptr<Op> op, pyro_op** out) {
  *out = new pyro_op{std::move(op)};
  return base::success();
}

}  // namespace pyro::client

int pyro_op_fd(const pyro_op* op) noexcept {
  return op != nullptr && op->core->is_ours() ? op->core->fd() : -1;
}

pyro_status pyro_op_next(pyro_op* op, int64_t timeout_ms, pyro_event* event, pyro_error** error) noexcept {
  return guard(error, [&] { return next_event(op, timeout_ms, event); });
}

pyro_status pyro_op_write_stdin(pyro_op* op, const void* data, size_t size, size_t* accepted,
                                pyro_error** error) noexcept {
  return guard(error, [&] { return write_stdin(op, data, size, accepted); });
}

pyro_status pyro_op_close_stdin(pyro_op* op, pyro_error** error) noexcept {
  return with(op, error, [](Op& core) { return core.close_stdin(); });
}

pyro_status pyro_op_signal(pyro_op* op, int32_t signal_number, pyro_error** error) noexcept {
  return with(op, error, [&](Op& core) { return core.signal(signal_number); });
}

pyro_status pyro_op_resize(pyro_op* op, uint32_t rows, uint32_t columns, pyro_error** error) noexcept {
  return with(op, error, [&](Op& core) { return core.resize(rows, columns); });
}

pyro_status pyro_op_cancel(pyro_op* op, pyro_error** error) noexcept {
  return with(op, error, [](Op& core) -> base::Status {
    core.cancel();
    return base::success();
  });
}

void pyro_op_destroy(pyro_op** op) noexcept {
  if (op != nullptr) {
    delete std::exchange(*op, nullptr);
  }
}
