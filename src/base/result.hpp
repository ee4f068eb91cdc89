// Result<T>: a value or an Error, for everything inside the library that can fail.
// Exceptions are used only by the header-only C++ API; see docs/errors.md.
#pragma once

#include <pyro/pyro.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <fmt/core.h>

namespace pyro::base {

/// What failed, on what, why, and what to do next. `code` decides; `message` is for people.
struct Error {
  pyro_status code = PYRO_ERROR_INTERNAL;
  std::string message;
  /// errno of the system call behind it, 0 if there was none.
  int sys_errno = 0;
};

/// The value of a Result that carries none.
struct Unit {};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }

  [[nodiscard]] const Error& error() const& { return std::get<1>(state_); }
  [[nodiscard]] Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

using Status = Result<Unit>;

inline Status success() {
  return Status(Unit{});
}

/// An Error with a formatted message.
template <typename... Args>
Error make_error(pyro_status code, fmt::format_string<Args...> format, Args&&... args) {
  return Error{code, fmt::format(format, std::forward<Args>(args)...), 0};
}

/// The group that an errno belongs to when nothing more specific is known: out of space, memory,
/// descriptors or processes is a limit; no permission is the caller's to mend; the rest is internal.
pyro_status status_of_errno(int sys_errno) noexcept;

/// A number from outside as a status; nothing where the type has no room for it.
constexpr std::optional<pyro_status> to_status(std::int64_t number) noexcept {
  return number >= PYRO_OK && number <= PYRO_ERROR_INTERNAL ? std::optional(static_cast<pyro_status>(number))
                                                            : std::nullopt;
}

/// "<what>: <text of errno>", with the code that status_of_errno gives.
Error errno_error(int sys_errno, std::string what);

/// The text of an errno, without the global buffer of strerror().
std::string errno_text(int sys_errno);

}  // namespace pyro::base

// Returns the error of `expression` (a Result) from the enclosing function, if it is one.
#define PYRO_TRY(expression)                              \
  do {                                                    \
    if (auto pyro_try_ = (expression); !pyro_try_.ok()) { \
      return std::move(pyro_try_).error();                \
    }                                                     \
  } while (false)

#define PYRO_CONCAT_(a, b) a##b
#define PYRO_CONCAT(a, b) PYRO_CONCAT_(a, b)
#define PYRO_TRY_ASSIGN_(temporary, declaration, expression) \
  auto temporary = (expression);                             \
  if (!temporary.ok()) {                                     \
    return std::move(temporary).error();                     \
  }                                                          \
  declaration = std::move(temporary).value()

// PYRO_TRY_ASSIGN(auto fd, open_it()): the value of a Result, or return its error.
#define PYRO_TRY_ASSIGN(declaration, expression) \
  PYRO_TRY_ASSIGN_(PYRO_CONCAT(pyro_try_, __LINE__), declaration, expression)
