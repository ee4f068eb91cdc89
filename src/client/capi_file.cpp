// Entries of the C ABI: files of a task.
#include "client/capi_calls.hpp"
#include "client/file_op.hpp"

using namespace pyro::client;
namespace base = pyro::base;

namespace {

OpResult make(pyro_context* context, const pyro_file_options* given, FileCall call, bool is_blocking) {
  PYRO_TRY_ASSIGN(const auto options, required(given, "pyro_file_options"));
  PYRO_TRY_ASSIGN(auto job, make_file_job(options, call, is_blocking));
  PYRO_TRY_ASSIGN(auto poller, Poller::make());
  PYRO_TRY_ASSIGN(auto op, FileOp::make(context->shared, std::move(poller), std::move(job)));
  return std::unique_ptr<Op>(std::move(op));
}

pyro_status wait_for(FileCall call, pyro_context* context, const pyro_file_options* options, pyro_file_result** result,
                     pyro_error** error) noexcept {
  return wait(context, result, error, &Event::files, [&] { return make(context, options, call, true); });
}

pyro_status start_op(FileCall call, pyro_context* context, const pyro_file_options* options, pyro_op** op,
                     pyro_error** error) noexcept {
  return start(context, op, error, [&] { return make(context, options, call, false); });
}

// With the content, which comes in events.
base::Result<pyro_status> read_whole(pyro_context* context, const pyro_file_options* options, pyro_file_result** result,
                                     pyro_error** error) {
  PYRO_TRY(check(context));
  if (result == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "the place for the outcome is NULL");
  }
  PYRO_TRY_ASSIGN(const std::unique_ptr<Op> core, make(context, options, FileCall::read, true));
  std::string content;
  Event& last = run_to_end(*core, [&content](const Event& event) {
    if (event.kind == PYRO_EVENT_STDOUT) {
      content += base::as_text(event.data);
    }
  });
  if (last.error) {
    return report(std::move(last.error), error);
  }
  last.files->data_bytes = std::move(content);
  last.files->seal(true);
  *result = last.files.release();
  return PYRO_OK;
}

}  // namespace

pyro_status pyro_file_read(pyro_context* context, const pyro_file_options* options, pyro_file_result** result,
                           pyro_error** error) noexcept {
  return guard(error, [&] { return read_whole(context, options, result, error); });
}

pyro_status pyro_file_read_start(pyro_context* context, const pyro_file_options* options, pyro_op** op,
                                 pyro_error** error) noexcept {
  return start_op(FileCall::read, context, options, op, error);
}

pyro_status pyro_file_write(pyro_context* context, const pyro_file_options* options, pyro_file_result** result,
                            pyro_error** error) noexcept {
  return wait_for(FileCall::write, context, options, result, error);
}

pyro_status pyro_file_write_start(pyro_context* context, const pyro_file_options* options, pyro_op** op,
                                  pyro_error** error) noexcept {
  return start_op(FileCall::write, context, options, op, error);
}

pyro_status pyro_file_list(pyro_context* context, const pyro_file_options* options, pyro_file_result** result,
                           pyro_error** error) noexcept {
  return wait_for(FileCall::list, context, options, result, error);
}

pyro_status pyro_file_list_start(pyro_context* context, const pyro_file_options* options, pyro_op** op,
                                 pyro_error** error) noexcept {
  return start_op(FileCall::list, context, options, op, error);
}

pyro_status pyro_file_stat(pyro_context* context, const pyro_file_options* options, pyro_file_result** result,
                           pyro_error** error) noexcept {
  return wait_for(FileCall::stat, context, options, result, error);
}

pyro_status pyro_file_stat_start(pyro_context* context, const pyro_file_options* options, pyro_op** op,
                                 pyro_error** error) noexcept {
  return start_op(FileCall::stat, context, options, op, error);
}

pyro_status pyro_file_make_dir(pyro_context* context, const pyro_file_options* options, pyro_file_result** result,
                               pyro_error** error) noexcept {
  return wait_for(FileCall::make_dir, context, options, result, error);
}

pyro_status pyro_file_make_dir_start(pyro_context* context, const pyro_file_options* options, pyro_op** op,
                                     pyro_error** error) noexcept {
  return start_op(FileCall::make_dir, context, options, op, error);
}

pyro_status pyro_file_remove(pyro_context* context, const pyro_file_options* options, pyro_file_result** result,
                             pyro_error** error) noexcept {
  return wait_for(FileCall::remove, context, options, result, error);
}

pyro_status pyro_file_remove_start(pyro_context* context, const pyro_file_options* options, pyro_op** op,
                                   pyro_error** error) noexcept {
  return start_op(FileCall::remove, context, options, op, error);
}

pyro_status pyro_file_upload(pyro_context* context, const pyro_file_options* options, pyro_file_result** result,
                             pyro_error** error) noexcept {
  return wait_for(FileCall::upload, context, options, result, error);
}

pyro_status pyro_file_upload_start(pyro_context* context, const pyro_file_options* options, pyro_op** op,
                                   pyro_error** error) noexcept {
  return start_op(FileCall::upload, context, options, op, error);
}

pyro_status pyro_file_download(pyro_context* context, const pyro_file_options* options, pyro_file_result** result,
                               pyro_error** error) noexcept {
  return wait_for(FileCall::download, context, options, result, error);
}

pyro_status pyro_file_download_start(pyro_context* context, const pyro_file_options* options, pyro_op** op,
                                     pyro_error** error) noexcept {
  return start_op(FileCall::download, context, options, op, error);
}

pyro_status pyro_file_diff(pyro_context* context, const pyro_file_options* options, pyro_file_result** result,
                           pyro_error** error) noexcept {
  return wait_for(FileCall::diff, context, options, result, error);
}

pyro_status pyro_file_diff_start(pyro_context* context, const pyro_file_options* options, pyro_op** op,
                                 pyro_error** error) noexcept {
  return start_op(FileCall::diff, context, options, op, error);
}

pyro_status pyro_file_export(pyro_context* context, const pyro_file_options* options, pyro_file_result** result,
                             pyro_error** error) noexcept {
  return wait_for(FileCall::export_workspace, context, options, result, error);
}

pyro_status pyro_file_export_start(pyro_context* context, const pyro_file_options* options, pyro_op** op,
                                   pyro_error** error) noexcept {
  return start_op(FileCall::export_workspace, context, options, op, error);
}
