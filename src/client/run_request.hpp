// A validated pyro_run_options: everything copied, every default filled in. Thread rule: values.
#pragma once

#include "base/result.hpp"
#include "wire/messages.hpp"

#include <string>

namespace pyro::client {

/// What a VM is to be.
struct VmSpec {
  /// After PYRO_ENGINE was taken into account.
  pyro_engine engine = PYRO_ENGINE_AUTO;
  std::string environment;
  std::uint32_t vcpu_count = 1;
  std::uint32_t mem_mib = 1024;
  std::uint32_t disk_mib = 2048;
  std::uint64_t boot_timeout_ms = 60'000;
  /// 0: none. The same below.
  std::uint64_t max_lifetime_ms = 0;
  /// Only of a VM that outlives its client.
  std::uint64_t ttl_ms = 0;
  /// The environment as it was when the VM's disk was made, "sha256:..."; "": as its name stands for now.
  std::string digest;
};

/// What is to be run in one.
struct CommandRequest {
  wire::Exec exec;
  bool streams_stdin = false;
  std::string stdin_data;
  std::uint64_t output_limit_bytes = 1024 * 1024;
};

struct RunRequest {
  VmSpec vm;
  CommandRequest command;
};

/// The longest time that an option may ask for.
inline constexpr double kYearSeconds = 31'536'000;

/// How much of each stream is kept where no limit is given.
inline constexpr std::uint64_t kDefaultOutputLimitBytes = 1024 * 1024;

/// The longest user name, as in wire::Exec.
inline constexpr std::size_t kMaxUserBytes = 256;

/// An option that is 0 or 1. Errors: INVALID.
base::Result<bool> flag(const char* name, std::uint32_t value);

/// Milliseconds of an option of a call; 0 for PYRO_NO_TIMEOUT where that is possible, and for a fallback of 0.
/// Errors: INVALID.
base::Result<std::uint64_t> duration_ms(const char* name, double seconds, double fallback, double max,
                                        bool may_be_none);

/// What `options` say of the command, and of the VM. Errors as below.
base::Result<CommandRequest> make_command_request(const pyro_run_options& options);
base::Result<VmSpec> make_vm_spec(const pyro_run_options& options, const std::string& engine_variable);

/// `engine_variable` is PYRO_ENGINE. Errors: INVALID, UNSUPPORTED, LIMIT; the message says the allowed range.
base::Result<RunRequest> make_run_request(const pyro_run_options& options, const std::string& engine_variable);

}  // namespace pyro::client
