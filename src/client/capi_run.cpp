// Entries of the C ABI: running a command.
#include "client/capi.hpp"
#include "client/run_op.hpp"

using namespace pyro::client;
namespace base = pyro::base;

namespace {

base::Result<std::unique_ptr<Op>> make_run(pyro_context* context, const pyro_run_options* given,
                                           std::uint64_t& output_limit_bytes, bool may_stream) {
  PYRO_TRY(check(context));
  if (given == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "options is NULL: an environment and a command are required");
  }
  PYRO_TRY_ASSIGN(const auto options, read_options(given, "pyro_run_options"));
  if (!may_stream && options.stdin_mode == PYRO_STDIN_STREAM) {
    return base::make_error(PYRO_ERROR_INVALID,
                            "PYRO_STDIN_STREAM is not for the blocking call: use pyro_run_in_vm_start()");
  }
  PYRO_TRY_ASSIGN(auto request, make_run_request(options, context->shared->settings.engine_variable));
  output_limit_bytes = request.command.output_limit_bytes;
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  return std::unique_ptr<Op>(std::make_unique<RunOp>(context->shared, std::move(poller), std::move(request)));
}

base::Status start_run(pyro_context* context, const pyro_run_options* options, pyro_op** op) {
  if (op == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "op is NULL");
  }
  std::uint64_t unused = 0;
  PYRO_TRY_ASSIGN(auto core, make_run(context, options, unused, true));
  return hand_out(std::move(core), op);
}

base::Result<pyro_status> run(pyro_context* context, const pyro_run_options* options, pyro_result** result,
                              pyro_error** error) {
  std::uint64_t limit = 0;
  return collect_result(result, error, limit, [&] { return make_run(context, options, limit, false); });
}

}  // namespace

pyro_status pyro_run_in_vm_start(pyro_context* context, const pyro_run_options* options, pyro_op** op,
                                 pyro_error** error) noexcept {
  return guard(error, [&] { return start_run(context, options, op); });
}

pyro_status pyro_run_in_vm(pyro_context* context, const pyro_run_options* options, pyro_result** result,
                           pyro_error** error) noexcept {
  return guard(error, [&] { return run(context, options, result, error); });
}
