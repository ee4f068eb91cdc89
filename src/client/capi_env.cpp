// Entries of the C ABI: environments and the host check.
#include "client/capi.hpp"
#include "client/doctor_op.hpp"
#include "client/image_op.hpp"

using namespace pyro::client;
namespace base = pyro::base;

namespace {

base::Result<std::unique_ptr<Op>> make_env(const ImageCall& call, pyro_context* context,
                                           const pyro_env_options* given) {
  PYRO_TRY(check(context));
  PYRO_TRY_ASSIGN(const auto options, read_options(given, "pyro_env_options"));
  PYRO_TRY_ASSIGN(auto request, make_image_request(call, options));
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  return std::unique_ptr<Op>(std::make_unique<ImageOp>(context->shared, std::move(poller), std::move(request)));
}

pyro_status start_env(const ImageCall& call, pyro_context* context, const pyro_env_options* options, pyro_op** op,
                      pyro_error** error) noexcept {
  return guard(error, [&]() -> base::Status {
    if (op == nullptr) {
      return base::make_error(PYRO_ERROR_INVALID, "op is NULL");
    }
    PYRO_TRY_ASSIGN(auto core, make_env(call, context, options));
    return hand_out(std::move(core), op);
  });
}

pyro_status wait_env(const ImageCall& call, pyro_context* context, const pyro_env_options* options,
                     pyro_environment_list** list, pyro_error** error) noexcept {
  return guard(error, [&]() -> base::Result<pyro_status> {
    if (list == nullptr) {
      return base::make_error(PYRO_ERROR_INVALID, "list is NULL");
    }
    PYRO_TRY_ASSIGN(const auto core, make_env(call, context, options));
    Event& last = run_to_end(*core, [](const Event&) {});
    if (last.error) {
      return report(std::move(last.error), error);
    }
    *list = last.environments.release();
    return PYRO_OK;
  });
}

pyro_status no_pull(const pyro_context* context, pyro_error** error) noexcept {
  return guard(error, [&]() -> base::Status {
    PYRO_TRY(check(context));
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "this build cannot pull environments from a registry yet: build one of the catalogue, or "
                            "import a root filesystem");
  });
}

base::Result<std::unique_ptr<Op>> make_doctor(pyro_context* context) {
  PYRO_TRY(check(context));
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  return std::unique_ptr<Op>(std::make_unique<DoctorOp>(context->shared, std::move(poller)));
}

base::Status start_doctor(pyro_context* context, pyro_op** op) {
  if (op == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "op is NULL");
  }
  PYRO_TRY_ASSIGN(auto core, make_doctor(context));
  return hand_out(std::move(core), op);
}

base::Result<pyro_status> run_doctor(pyro_context* context, pyro_doctor_report** out, pyro_error** error) {
  if (out == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "report is NULL");
  }
  PYRO_TRY_ASSIGN(const auto core, make_doctor(context));
  Event& last = run_to_end(*core, [](const Event&) {});
  if (last.error) {
    return report(std::move(last.error), error);
  }
  *out = last.doctor.release();
  return PYRO_OK;
}

}  // namespace

pyro_status pyro_env_list(pyro_context* context, const pyro_env_options* options, pyro_environment_list** list,
                          pyro_error** error) noexcept {
  return wait_env(kEnvList, context, options, list, error);
}

pyro_status pyro_env_list_start(pyro_context* context, const pyro_env_options* options, pyro_op** op,
                                pyro_error** error) noexcept {
  return start_env(kEnvList, context, options, op, error);
}

pyro_status pyro_env_build(pyro_context* context, const pyro_env_options* options, pyro_environment_list** list,
                           pyro_error** error) noexcept {
  return wait_env(kEnvBuild, context, options, list, error);
}

pyro_status pyro_env_build_start(pyro_context* context, const pyro_env_options* options, pyro_op** op,
                                 pyro_error** error) noexcept {
  return start_env(kEnvBuild, context, options, op, error);
}

pyro_status pyro_env_inspect(pyro_context* context, const pyro_env_options* options, pyro_environment_list** list,
                             pyro_error** error) noexcept {
  return wait_env(kEnvInspect, context, options, list, error);
}

pyro_status pyro_env_inspect_start(pyro_context* context, const pyro_env_options* options, pyro_op** op,
                                   pyro_error** error) noexcept {
  return start_env(kEnvInspect, context, options, op, error);
}

pyro_status pyro_env_import(pyro_context* context, const pyro_env_options* options, pyro_environment_list** list,
                            pyro_error** error) noexcept {
  return wait_env(kEnvImport, context, options, list, error);
}

pyro_status pyro_env_import_start(pyro_context* context, const pyro_env_options* options, pyro_op** op,
                                  pyro_error** error) noexcept {
  return start_env(kEnvImport, context, options, op, error);
}

pyro_status pyro_env_export(pyro_context* context, const pyro_env_options* options, pyro_environment_list** list,
                            pyro_error** error) noexcept {
  return wait_env(kEnvExport, context, options, list, error);
}

pyro_status pyro_env_export_start(pyro_context* context, const pyro_env_options* options, pyro_op** op,
                                  pyro_error** error) noexcept {
  return start_env(kEnvExport, context, options, op, error);
}

pyro_status pyro_env_prune(pyro_context* context, const pyro_env_options* options, pyro_environment_list** list,
                           pyro_error** error) noexcept {
  return wait_env(kEnvPrune, context, options, list, error);
}

pyro_status pyro_env_prune_start(pyro_context* context, const pyro_env_options* options, pyro_op** op,
                                 pyro_error** error) noexcept {
  return start_env(kEnvPrune, context, options, op, error);
}

pyro_status pyro_env_pull(pyro_context* context, const pyro_env_options*, pyro_environment_list**,
                          pyro_error** error) noexcept {
  return no_pull(context, error);
}

pyro_status pyro_env_pull_start(pyro_context* context, const pyro_env_options*, pyro_op**,
                                pyro_error** error) noexcept {
  return no_pull(context, error);
}

pyro_status pyro_doctor(pyro_context* context, pyro_doctor_report** report, pyro_error** error) noexcept {
  return guard(error, [&] { return run_doctor(context, report, error); });
}

pyro_status pyro_doctor_start(pyro_context* context, pyro_op** op, pyro_error** error) noexcept {
  return guard(error, [&] { return start_doctor(context, op); });
}
