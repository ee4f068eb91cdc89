// Entries of the C ABI: version, status, errors, contexts, log.
#include "client/capi.hpp"

#include "state/status_name.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <unistd.h>

using namespace pyro::client;
namespace base = pyro::base;

namespace {

pyro_error out_of_memory{PYRO_ERROR_LIMIT, "out of memory", ""};

constexpr std::array<std::pair<std::string_view, bool>, 8> kFeatures{{{"engine.software", true},
                                                                      {"engine.kvm", true},
                                                                      {"pty", true},
                                                                      {"env.build", true},
                                                                      {"env.pull", false},
                                                                      {"network", false},
                                                                      {"tasks", true},
                                                                      {"files", true}}};

// For pyro_X_init(): zero, with the size in front.
void init_struct(void* options, std::size_t size) noexcept {
  if (options == nullptr || size < sizeof(std::uint32_t)) {
    return;
  }
  std::memset(options, 0, size);
  const auto struct_size = static_cast<std::uint32_t>(size);
  std::memcpy(options, &struct_size, sizeof struct_size);
}

template <typename Owned, typename Public>
void destroy_owned(Public** handle) noexcept {
  if (handle != nullptr) {
    delete static_cast<Owned*>(std::exchange(*handle, nullptr));
  }
}

base::Error null_argument(const char* name) {
  return base::make_error(PYRO_ERROR_INVALID, "{} is NULL", name);
}

base::Status open(const pyro_open_options* given, pyro_context** context) {
  if (context == nullptr) {
    return null_argument("context");
  }
  PYRO_TRY_ASSIGN(const auto options, read_options(given, "pyro_open_options"));
  PYRO_TRY_ASSIGN(auto settings, read_settings(options));
  *context = new pyro_context(std::move(settings));
  return base::success();
}

base::Result<pyro_status> next_log_line(pyro_context* context, pyro_log_record* record) {
  PYRO_TRY(check(context));
  // Before a line is taken, so that a wrong call loses none.
  PYRO_TRY(fill(record, pyro_log_record{}, "pyro_log_record"));
  auto taken = context->shared->log.take();
  if (!taken.has_value()) {
    return PYRO_END;
  }
  LogLine& line = context->line_of_this_thread();
  line = std::move(*taken);
  pyro_log_record out{};
  out.level = static_cast<std::uint32_t>(line.level);
  out.time_ns = line.time_ns;
  out.room = "client";
  out.message = line.message.c_str();
  PYRO_TRY(fill(record, out, "pyro_log_record"));
  return PYRO_OK;
}

}  // namespace

pyro_context::pyro_context(Settings settings)
    : shared(std::make_shared<Context>(std::move(settings))), owner(::getpid()) {}

LogLine& pyro_context::line_of_this_thread() {
  const std::lock_guard lock(lines_mutex);
  return lines[std::this_thread::get_id()];
}

namespace pyro::client {

pyro_status report(std::unique_ptr<pyro_error> error, pyro_error** out) noexcept {
  const pyro_status code = error->code;
  if (out != nullptr) {
    *out = error.release();
  }
  return code;
}

pyro_status report(const base::Error& error, pyro_error** out) {
  return report(std::make_unique<pyro_error>(pyro_error{error.code, error.message, ""}), out);
}

pyro_status report_out_of_memory(pyro_error** out) noexcept {
  if (out != nullptr) {
    *out = &out_of_memory;
  }
  return PYRO_ERROR_LIMIT;
}

base::Status check(const pyro_context* context) {
  if (context == nullptr) {
    return null_argument("context");
  }
  if (context->owner != ::getpid()) {
    return base::make_error(PYRO_ERROR_FORKED,
                            "this context was opened before fork(), in the parent process: call pyro_open() here");
  }
  return base::success();
}

}  // namespace pyro::client

uint32_t pyro_version_number(void) noexcept {
  return PYRO_VERSION_NUMBER;
}

const char* pyro_version_string(void) noexcept {
  return PYRO_VERSION_STRING;
}

int32_t pyro_feature(const char* name) noexcept {
  const auto is_it = [name](const auto& feature) { return name != nullptr && feature.first == name; };
  const auto* found = std::find_if(kFeatures.begin(), kFeatures.end(), is_it);
  return found != kFeatures.end() && found->second ? 1 : 0;
}

const char* pyro_status_name(pyro_status status) noexcept {
  return pyro::state::status_name(status);
}

pyro_status pyro_error_code(const pyro_error* error) noexcept {
  return error == nullptr ? PYRO_OK : error->code;
}

const char* pyro_error_message(const pyro_error* error) noexcept {
  return error == nullptr ? "" : error->message.c_str();
}

const char* pyro_error_console(const pyro_error* error) noexcept {
  return error == nullptr ? "" : error->console.c_str();
}

void pyro_error_destroy(pyro_error** error) noexcept {
  if (error != nullptr && *error == &out_of_memory) {
    *error = nullptr;
  }
  destroy_owned<pyro_error>(error);
}

void pyro_open_options_init(pyro_open_options* options, size_t size) noexcept {
  init_struct(options, size);
}
void pyro_run_options_init(pyro_run_options* options, size_t size) noexcept {
  init_struct(options, size);
}
void pyro_task_options_init(pyro_task_options* options, size_t size) noexcept {
  init_struct(options, size);
}
void pyro_task_query_init(pyro_task_query* query, size_t size) noexcept {
  init_struct(query, size);
}
void pyro_exec_options_init(pyro_exec_options* options, size_t size) noexcept {
  init_struct(options, size);
}
void pyro_attach_options_init(pyro_attach_options* options, size_t size) noexcept {
  init_struct(options, size);
}
void pyro_logs_options_init(pyro_logs_options* options, size_t size) noexcept {
  init_struct(options, size);
}
void pyro_file_options_init(pyro_file_options* options, size_t size) noexcept {
  init_struct(options, size);
}
void pyro_env_options_init(pyro_env_options* options, size_t size) noexcept {
  init_struct(options, size);
}

pyro_status pyro_open(const pyro_open_options* options, pyro_context** context, pyro_error** error) noexcept {
  return guard(error, [&] { return open(options, context); });
}

void pyro_close(pyro_context** context) noexcept {
  destroy_owned<pyro_context>(context);
}

pyro_status pyro_log_next(pyro_context* context, pyro_log_record* record) noexcept {
  return guard(nullptr, [&] { return next_log_line(context, record); });
}

void pyro_result_destroy(pyro_result** result) noexcept {
  destroy_owned<OwnedResult>(result);
}

void pyro_vm_list_destroy(pyro_vm_list** list) noexcept {
  destroy_owned<OwnedVms>(list);
}

void pyro_command_list_destroy(pyro_command_list** list) noexcept {
  destroy_owned<OwnedCommands>(list);
}

void pyro_file_result_destroy(pyro_file_result** result) noexcept {
  destroy_owned<OwnedFiles>(result);
}

void pyro_environment_list_destroy(pyro_environment_list** list) noexcept {
  destroy_owned<OwnedEnvironments>(list);
}

void pyro_doctor_report_destroy(pyro_doctor_report** report) noexcept {
  destroy_owned<OwnedReport>(report);
}
