#include "client/run_request.hpp"

#include "client/engine.hpp"
#include "client/invalid.hpp"
#include "state/environment.hpp"

#include <cmath>
#include <string_view>

namespace pyro::client {

namespace {

using base::Result;
using base::Status;

constexpr std::uint32_t kMaxVcpus = 16;
constexpr std::uint32_t kMinMemMib = 128;
constexpr std::uint32_t kMaxMemMib = 65536;
constexpr std::uint32_t kMaxTerminalSide = 65535;
constexpr double kMinSeconds = 0.001;
constexpr double kDaySeconds = 86'400;
constexpr double kDefaultTimeoutSeconds = 30;
constexpr double kDefaultBootTimeoutSeconds = 60;
constexpr std::size_t kMaxPathBytes = 4096;  // Linux PATH_MAX

// `value`, or `fallback` for 0.
Result<std::uint32_t> ranged(const char* name, std::uint32_t value, std::uint32_t fallback, std::uint32_t min,
                             std::uint32_t max) {
  const std::uint32_t chosen = value == 0 ? fallback : value;
  if (chosen < min || chosen > max) {
    return invalid("{} is {}: {} to {} are possible", name, chosen, min, max);
  }
  return chosen;
}

Status take_command(const pyro_run_options& options, wire::Exec& exec) {
  if (options.command != nullptr && (options.argv != nullptr || options.argc != 0)) {
    return invalid("both command and argv are given: give a shell command line or a list of arguments, not both");
  }
  if (options.command != nullptr) {
    exec.argv = {"/bin/sh", "-c", options.command};
    return base::success();
  }
  if (options.argc == 0 || options.argv == nullptr) {
    return invalid("there is no command: give command (a shell command line) or argv (at least the program)");
  }
  if (options.argc > wire::kMaxArgumentBytes) {
    return base::make_error(PYRO_ERROR_LIMIT, "argv has {} strings: all of them may fill {} bytes", options.argc,
                            wire::kMaxArgumentBytes);
  }
  for (std::size_t i = 0; i < options.argc; ++i) {
    if (options.argv[i] == nullptr) {
      return invalid("argv[{}] is NULL: argc is the number of strings, without a NULL at the end", i);
    }
    exec.argv.emplace_back(options.argv[i]);
  }
  return base::success();
}

Status take_env(const pyro_run_options& options, wire::Exec& exec) {
  if (options.env_count != 0 && options.env == nullptr) {
    return invalid("env is NULL, but env_count is {}", options.env_count);
  }
  if (options.env_count > wire::kMaxArgumentBytes) {
    return base::make_error(PYRO_ERROR_LIMIT, "env has {} strings: all of them may fill {} bytes", options.env_count,
                            wire::kMaxArgumentBytes);
  }
  for (std::size_t i = 0; i < options.env_count; ++i) {
    if (options.env[i] == nullptr) {
      return invalid("env[{}] is NULL", i);
    }
    const std::string_view variable = options.env[i];
    const auto equals = variable.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return invalid("env[{}] is not of the form NAME=value", i);
    }
    exec.env.emplace_back(variable);
  }
  return base::success();
}

Status check_argument_bytes(const wire::Exec& exec) {
  const std::size_t total = exec.argument_bytes();
  if (total > wire::kMaxArgumentBytes) {
    return base::make_error(
        PYRO_ERROR_LIMIT,
        "the arguments and variables take {} bytes (4 more than its length each): {} are possible; pass large "
        "data by stdin",
        total, wire::kMaxArgumentBytes);
  }
  return base::success();
}

Status take_place(const pyro_run_options& options, wire::Exec& exec) {
  exec.cwd = options.cwd == nullptr ? "/workspace" : options.cwd;
  if (exec.cwd.empty() || exec.cwd.front() != '/' || exec.cwd.size() >= kMaxPathBytes) {
    return invalid("cwd is \"{}\": it must be an absolute path in the guest, shorter than {} bytes",
                   exec.cwd.substr(0, 80), kMaxPathBytes);
  }
  exec.user = options.user == nullptr ? "root" : options.user;
  if (exec.user.empty() || exec.user.size() > kMaxUserBytes) {
    return invalid("user must be a name or number of 1 to {} bytes", kMaxUserBytes);
  }
  PYRO_TRY_ASSIGN(exec.pty, flag("pty", options.pty));
  PYRO_TRY_ASSIGN(const auto rows, ranged("pty_rows", options.pty_rows, 24, 1, kMaxTerminalSide));
  PYRO_TRY_ASSIGN(const auto columns, ranged("pty_columns", options.pty_columns, 80, 1, kMaxTerminalSide));
  exec.pty_rows = static_cast<std::uint16_t>(rows);
  exec.pty_columns = static_cast<std::uint16_t>(columns);
  return base::success();
}

Status take_stdin(const pyro_run_options& options, CommandRequest& request) {
  if (options.stdin_mode > PYRO_STDIN_STREAM) {
    return invalid("stdin_mode is {}: 0 (data) and 1 (stream) are possible", options.stdin_mode);
  }
  request.streams_stdin = options.stdin_mode == PYRO_STDIN_STREAM;
  if (options.stdin_size != 0 && options.stdin_data == nullptr) {
    return invalid("stdin_data is NULL, but stdin_size is {}", options.stdin_size);
  }
  if (request.streams_stdin && options.stdin_size != 0) {
    return invalid("stdin_data is for stdin_mode 0; with PYRO_STDIN_STREAM use pyro_op_write_stdin()");
  }
  if (options.stdin_size != 0) {
    request.stdin_data.assign(static_cast<const char*>(options.stdin_data), options.stdin_size);
  }
  return base::success();
}

}  // namespace

Result<bool> flag(const char* name, std::uint32_t value) {
  if (value > 1) {
    return invalid("{} is {}: 0 and 1 are possible", name, value);
  }
  return value == 1;
}

Result<std::uint64_t> duration_ms(const char* name, double seconds, double fallback, double max, bool may_be_none) {
  if (may_be_none && seconds == PYRO_NO_TIMEOUT) {
    return std::uint64_t{0};
  }
  const double chosen = seconds == 0 ? fallback : seconds;
  if (chosen == 0) {
    return std::uint64_t{0};
  }
  if (!(chosen >= kMinSeconds && chosen <= max)) {
    return invalid("{} is {}: {} to {:.0f} seconds are possible{}", name, chosen, kMinSeconds, max,
                   may_be_none ? ", or PYRO_NO_TIMEOUT (-1)" : "");
  }
  return static_cast<std::uint64_t>(std::ceil(chosen * 1000));
}

Result<CommandRequest> make_command_request(const pyro_run_options& options) {
  CommandRequest request;
  PYRO_TRY(take_command(options, request.exec));
  PYRO_TRY(take_env(options, request.exec));
  PYRO_TRY(check_argument_bytes(request.exec));
  PYRO_TRY(take_place(options, request.exec));
  PYRO_TRY(take_stdin(options, request));
  PYRO_TRY_ASSIGN(request.exec.timeout_ms,
                  duration_ms("timeout_seconds", options.timeout_seconds, kDefaultTimeoutSeconds, kYearSeconds, true));
  request.output_limit_bytes = options.output_limit_bytes == 0 ? kDefaultOutputLimitBytes : options.output_limit_bytes;
  return request;
}

Result<VmSpec> make_vm_spec(const pyro_run_options& options, const std::string& engine_variable) {
  VmSpec spec;
  if (options.environment == nullptr) {
    return invalid("there is no environment: name one, such as \"debian:12\"");
  }
  spec.environment = options.environment;
  PYRO_TRY(state::check_environment_name(spec.environment));
  PYRO_TRY_ASSIGN(spec.engine, wanted_engine(options.engine, engine_variable));
  PYRO_TRY_ASSIGN(spec.vcpu_count, ranged("vcpu_count", options.vcpu_count, 1, 1, kMaxVcpus));
  PYRO_TRY_ASSIGN(spec.mem_mib, ranged("mem_mib", options.mem_mib, 1024, kMinMemMib, kMaxMemMib));
  PYRO_TRY_ASSIGN(spec.disk_mib,
                  ranged("disk_mib", options.disk_mib, 2048, state::kMinScratchMib, state::kMaxScratchMib));
  PYRO_TRY_ASSIGN(spec.boot_timeout_ms, duration_ms("boot_timeout_seconds", options.boot_timeout_seconds,
                                                    kDefaultBootTimeoutSeconds, kDaySeconds, false));
  PYRO_TRY_ASSIGN(spec.max_lifetime_ms,
                  duration_ms("max_lifetime_seconds", options.max_lifetime_seconds, 0, kYearSeconds, true));
  PYRO_TRY_ASSIGN(const bool network, flag("network", options.network));
  if (network) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "network: this build cannot give a VM a network yet; run without it");
  }
  return spec;
}

Result<RunRequest> make_run_request(const pyro_run_options& options, const std::string& engine_variable) {
  RunRequest request;
  PYRO_TRY_ASSIGN(request.vm, make_vm_spec(options, engine_variable));
  PYRO_TRY_ASSIGN(request.command, make_command_request(options));
  return request;
}

}  // namespace pyro::client
