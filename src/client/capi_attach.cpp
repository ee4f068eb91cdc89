// Entries of the C ABI: attaching to commands of tasks.
#include "client/attach_op.hpp"
#include "client/capi_calls.hpp"
#include "client/task_request.hpp"

using namespace pyro::client;
namespace base = pyro::base;

namespace {

constexpr std::uint32_t kMaxTerminalSize = 65535;

base::Result<AttachRequest> make_request(const pyro_attach_options* given) {
  PYRO_TRY_ASSIGN(const auto options, required(given, "pyro_attach_options"));
  AttachRequest request;
  PYRO_TRY_ASSIGN(request.task_id, take_task_id(options.task_id));
  if (options.command_number == 0) {
    return base::make_error(PYRO_ERROR_INVALID, "command_number is 0: commands of a task count from 1");
  }
  request.command_number = options.command_number;
  if (options.stdin_mode > PYRO_STDIN_STREAM) {
    return base::make_error(PYRO_ERROR_INVALID, "stdin_mode is {}: 0 (no input) and 1 (stream) are possible",
                            options.stdin_mode);
  }
  request.takes_input = options.stdin_mode == PYRO_STDIN_STREAM;
  if (options.pty_rows > kMaxTerminalSize || options.pty_columns > kMaxTerminalSize ||
      (options.pty_rows == 0) != (options.pty_columns == 0)) {
    return base::make_error(PYRO_ERROR_INVALID,
                            "the terminal size is {} x {}: 1 to {} each are possible, or 0 x 0 to leave it",
                            options.pty_rows, options.pty_columns, kMaxTerminalSize);
  }
  request.rows = static_cast<std::uint16_t>(options.pty_rows);
  request.columns = static_cast<std::uint16_t>(options.pty_columns);
  request.tail_bytes = options.tail_bytes == 0 ? AttachRequest().tail_bytes : options.tail_bytes;
  request.output_limit_bytes = options.output_limit_bytes == 0 ? kDefaultOutputLimitBytes : options.output_limit_bytes;
  return request;
}

OpResult make_attach(pyro_context* context, AttachRequest request) {
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  return std::unique_ptr<Op>(std::make_unique<AttachOp>(context->shared, std::move(poller), std::move(request)));
}

}  // namespace

pyro_status pyro_task_attach(pyro_context* context, const pyro_attach_options* options, pyro_result** result,
                             pyro_error** error) noexcept {
  return guard(error, [&]() -> base::Result<pyro_status> {
    PYRO_TRY(check(context));
    PYRO_TRY_ASSIGN(auto request, make_request(options));
    if (request.takes_input) {
      return base::make_error(PYRO_ERROR_INVALID,
                              "PYRO_STDIN_STREAM is not for the blocking call: use pyro_task_attach_start()");
    }
    const std::uint64_t limit = request.output_limit_bytes;
    return collect_result(result, error, limit, [&] { return make_attach(context, std::move(request)); });
  });
}

pyro_status pyro_task_attach_start(pyro_context* context, const pyro_attach_options* options, pyro_op** op,
                                   pyro_error** error) noexcept {
  return start(context, op, error, [&]() -> OpResult {
    PYRO_TRY_ASSIGN(auto request, make_request(options));
    return make_attach(context, std::move(request));
  });
}
