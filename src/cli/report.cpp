#include "cli/report.hpp"

#include "cli/json.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace pyro::cli {
namespace {

// 0, or the errno of the write that failed.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace

bool is_terminal(int fd) {
  return ::isatty(fd) == 1;
}

void say_raw(std::string_view text) {
  static_cast<void>(write_all(STDERR_FILENO, text));
}

void say(std::string_view message) {
  say_raw(fmt::format("pyro: {}\n", message));
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

int report_error(const Error& error, bool json) {
  if (json) {
    JsonObject inner;
    inner.add("code", to_string(error.code())).add("message", error.what());
    inner.add("console", error.console());
    static_cast<void>(print(JsonObject().add_raw("error", inner.str()).str()));
    return kExitFailed;
  }
  say(printable(error.what()));
  if (!error.console().empty()) {
    say_raw(fmt::format("pyro: last lines of the guest's console:\n{}\n", printable(error.console())));
  }
  return kExitFailed;
}

int print(std::string_view text) {
  const int failure = write_all(STDOUT_FILENO, fmt::format("{}\n", text));
  if (failure == EPIPE) {
    return kExitBrokenPipe;
  }
  if (failure != 0) {
    say(fmt::format("cannot write to standard output: {}", std::strerror(failure)));
    return kExitFailed;
  }
  return 0;
}

void say_log(const Pyro& pyro, const CommonOptions& common) {
  if (!common.verbose) {
    return;
  }
  while (const auto record = pyro.next_log()) {
    say_raw(fmt::format("pyro: {}: {}\n", record->room, printable(record->message)));
  }
}

Pyro open_pyro(const CommonOptions& common) {
  OpenOptions options;
  options.log_level = common.verbose ? LogLevel::debug : LogLevel::off;
  return Pyro(options);
}

}  // namespace pyro::cli
