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

// Appends what the limit has room for.
void keep(std::string& kept, const Event& event, std::uint64_t limit) {
  const auto text = base::as_text(event.data);
  kept.append(text.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(text.size(), limit - kept.size()))));
}

base::Result<pyro_status> run(pyro_context* context, const pyro_run_options* options, pyro_result** result,
                              pyro_error** error) {
  if (result == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "result is NULL");
  }
  std::uint64_t limit = 0;
  PYRO_TRY_ASSIGN(const auto op, make_run(context, options, limit, false));
  std::string out;
  std::string err;
  Event& last = run_to_end(*op, [&](const Event& event) {
    if (event.kind == PYRO_EVENT_STDOUT) {
      keep(out, event, limit);
    } else if (event.kind == PYRO_EVENT_STDERR) {
      keep(err, event, limit);
    }
  });
  if (last.error) {
    return report(std::move(last.error), error);
  }
  auto owned = std::move(last.result);
  owned->stdout_bytes = std::move(out);
  owned->stderr_bytes = std::move(err);
  owned->stdout_truncated = owned->stdout_bytes.size() < owned->stdout_total_bytes;
  owned->stderr_truncated = owned->stderr_bytes.size() < owned->stderr_total_bytes;
  owned->seal(true);
  *result = owned.release();
  return PYRO_OK;
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
