#include "supervisor/jail_test.hpp"

#include "base/result.hpp"
#include "jail/attempts.hpp"
#include "jail/confine.hpp"
#include "jail/seccomp.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include <unistd.h>

namespace pyro::supervisor {

namespace {

enum Verdict : int { denied = 0, succeeded = 1, not_made = 2 };

constexpr std::array<std::pair<std::string_view, jail::ThreadKind>, 4> kKinds = {
    {{"main", jail::ThreadKind::main},
     {"vcpu", jail::ThreadKind::vcpu},
     {"block", jail::ThreadKind::block},
     {"supervisor", jail::ThreadKind::supervisor}}};

// By bare write(): stdio and sends take calls that some filters do not have.
void say(int fd, const std::string& text) {
  static_cast<void>(::write(fd, text.data(), text.size()));
}

std::optional<jail::ThreadKind> find_kind(std::string_view name) {
  for (const auto& [known, kind] : kKinds) {
    if (known == name) {
      return kind;
    }
  }
  return std::nullopt;
}

// The stages of a supervisor with an engine below it, in their order. The names of missing layers go to `fd`.
base::Status confine(jail::ThreadKind kind, int fd) {
  PYRO_TRY_ASSIGN(const jail::EarlyConfinement early, jail::confine_early(-1));
  PYRO_TRY_ASSIGN(const std::vector<std::string> missing, jail::confine_process({.limits = {.no_file_writes = true}}));
  for (const auto& layer : early.missing) {
    say(fd, "missing: " + layer + "\n");
  }
  for (const auto& layer : missing) {
    say(fd, "missing: " + layer + "\n");
  }
  return jail::install_filter(kind);
}

}  // namespace

int jail_test(std::span<const char* const> arguments) {
  if (arguments.empty()) {
    for (const jail::Attempt& attempt : jail::attempts()) {
      say(STDOUT_FILENO, std::string(attempt.name) + "\n");
    }
    return denied;
  }
  const auto kind = find_kind(arguments[0]);
  const jail::Attempt* attempt = arguments.size() == 2 ? jail::find_attempt(arguments[1]) : nullptr;
  if (!kind.has_value() || attempt == nullptr) {
    say(STDERR_FILENO, "usage: pyro-vm --jail-test [main|vcpu|block|supervisor ATTEMPT]\n");
    return not_made;
  }
  if (const auto confined = confine(*kind, STDERR_FILENO); !confined.ok()) {
    say(STDERR_FILENO, confined.error().message + "\n");
    return not_made;
  }
  const int error = attempt->make();
  say(STDOUT_FILENO, error == 0 ? std::string("succeeded\n") : "denied: " + base::errno_text(error) + "\n");
  // Not by way of main(): what runs at exit is none of this test's business.
  ::_exit(error == 0 ? succeeded : denied);
}

}  // namespace pyro::supervisor
