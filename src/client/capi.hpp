// The bridge between the C ABI and the core: what is behind the opaque handles, and the one barrier
// that every entry goes through. Entries are one line each: what they do is in the core.
#pragma once

#include "base/result.hpp"
#include "client/context.hpp"
#include "client/event.hpp"
#include "client/op.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <thread>

#include <sys/types.h>

struct pyro_context {
  explicit pyro_context(pyro::client::Settings settings);
  /// What this thread's last pyro_log_record borrows from.
  pyro::client::LogLine& line_of_this_thread();

  pyro::client::ContextPtr shared;
  /// The process that opened it.
  pid_t owner;
  /// What the last pyro_log_record of each thread borrows from. A thread's number is given to another one after its
  /// end, so these are never more than threads have lived at once. A map, because it does not move its elements.
  std::mutex lines_mutex;
  std::map<std::thread::id, pyro::client::LogLine> lines;
};

struct pyro_op {
  std::unique_ptr<pyro::client::Op> core;
};

namespace pyro::client {

/// Larger than any option struct will become: a struct_size beyond it was never set.
inline constexpr std::uint32_t kMaxStructSize = 4096;

/// Gives `error` to a caller that wants it, and its status.
pyro_status report(std::unique_ptr<pyro_error> error, pyro_error** out) noexcept;
pyro_status report(const base::Error& error, pyro_error** out);
/// The same where there is no memory for an error object: a static one, which destroying leaves alone.
pyro_status report_out_of_memory(pyro_error** out) noexcept;

/// Runs `body` (giving a Result<pyro_status> or a Status); no exception leaves it.
template <typename Body>
pyro_status guard(pyro_error** error, Body&& body) noexcept {
  try {
    try {
      auto result = body();
      if (!result.ok()) {
        return report(result.error(), error);
      }
      if constexpr (std::is_same_v<decltype(result), base::Status>) {
        return PYRO_OK;
      } else {
        return result.value();
      }
    } catch (const std::bad_alloc&) {
      return report_out_of_memory(error);
    } catch (const std::exception& unexpected) {
      return report(base::make_error(PYRO_ERROR_INTERNAL, "unexpected: {}", unexpected.what()), error);
    }
  } catch (...) {
    return report_out_of_memory(error);
  }
}

/// Refuses NULL and handles of a parent process.
base::Status check(const pyro_context* context);
base::Status check(const pyro_op* op);

/// A copy of the caller's options in this library's size; NULL gives all defaults. Errors: INVALID if
/// struct_size was not set, UNSUPPORTED if an option of a newer library is set.
template <typename Options>
base::Result<Options> read_options(const Options* given, const char* name) {
  Options options{};
  if (given == nullptr) {
    return options;
  }
  const std::uint32_t size = given->struct_size;
  if (size < sizeof(std::uint32_t) || size > kMaxStructSize) {
    return base::make_error(PYRO_ERROR_INVALID, "struct_size of {} is {}: start from its INIT macro or init function",
                            name, size);
  }
  std::memcpy(&options, given, std::min<std::size_t>(size, sizeof options));
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  if (size > sizeof options && std::any_of(bytes + sizeof options, bytes + size, [](auto byte) { return byte != 0; })) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "{} has an option set that this library ({}) does not know: use a newer libpyro", name,
                            PYRO_VERSION_STRING);
  }
  return options;
}

/// Fills as much of the caller's struct as it has room for, and keeps its struct_size.
template <typename Struct>
base::Status fill(Struct* out, const Struct& value, const char* name) {
  if (out == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "{} is NULL", name);
  }
  const std::uint32_t size = out->struct_size;
  if (size < sizeof(std::uint32_t) || size > kMaxStructSize) {
    return base::make_error(PYRO_ERROR_INVALID, "struct_size of {} is {}: set it first", name, size);
  }
  std::memset(out, 0, size);
  std::memcpy(out, &value, std::min<std::size_t>(size, sizeof value));
  out->struct_size = size;
  return base::success();
}

/// The end of an entry that starts an operation: puts it behind a handle.
base::Status hand_out(std::unique_ptr<Op> op, pyro_op** out);

/// Drives an operation to its last event, handing the others to `on_event`; borrowed from `op`.
template <typename OnEvent>
Event& run_to_end(Op& op, OnEvent&& on_event) {
  while (true) {
    // PYRO_AGAIN: a signal handler of the host ran.
    if (op.next(-1) != PYRO_OK) {
      continue;
    }
    if (op.current().is_last()) {
      return op.current();
    }
    on_event(op.current());
  }
}

/// The blocking form of a call that runs a command: drives what `make` gives (it also sets the limit) and keeps what it
/// prints.
template <typename Make>
base::Result<pyro_status> collect_result(pyro_result** result, pyro_error** error, const std::uint64_t& limit,
                                         Make&& make) {
  if (result == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "result is NULL");
  }
  PYRO_TRY_ASSIGN(const auto op, make());
  std::string out;
  std::string err;
  const auto keep = [&limit](std::string& kept, const Event& event) {
    const auto text = base::as_text(event.data);
    kept.append(text.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(text.size(), limit - kept.size()))));
  };
  Event& last = run_to_end(*op, [&](const Event& event) {
    if (event.kind == PYRO_EVENT_STDOUT) {
      keep(out, event);
    } else if (event.kind == PYRO_EVENT_STDERR) {
      keep(err, event);
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

}  // namespace pyro::client
