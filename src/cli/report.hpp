// What this program itself says: messages on stderr, tables and JSON on stdout.
#pragma once

#include <pyro/pyro.hpp>

#include <string>
#include <string_view>

namespace pyro::cli {

/// Exit codes of this program that are not the guest command's.
constexpr int kExitTimedOut = 124;
constexpr int kExitFailed = 125;
/// What a shell reports for a program that SIGPIPE ended.
constexpr int kExitBrokenPipe = 128 + 13;

/// What every command takes.
struct CommonOptions {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
};

[[nodiscard]] bool is_terminal(int fd);

/// Writes to stderr, as much as will go. A message that cannot be written is lost.
void say_raw(std::string_view text);

/// "pyro: <message>" and a newline on stderr.
void say(std::string_view message);

/// `text` with control characters other than newline and tab made visible: for what a guest wrote.
std::string printable(std::string_view text);

/// Says why pyro failed: on stderr, or as one JSON object on stdout. Gives the exit code.
int report_error(const Error& error, bool json);

/// Writes all of `text` and a newline to stdout. Gives the exit code: 0, or what a failed write means.
int print(std::string_view text);

/// Says the library's log lines on stderr, if they were asked for.
void say_log(const Pyro& pyro, const CommonOptions& common);

/// Opens the library as the options ask.
Pyro open_pyro(const CommonOptions& common);

}  // namespace pyro::cli
