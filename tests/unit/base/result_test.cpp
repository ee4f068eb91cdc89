#include "base/result.hpp"

#include <cerrno>
#include <memory>
#include <string>

#include <doctest/doctest.h>

namespace pyro::base {

namespace {

Result<int> half(int value) {
  if (value % 2 != 0) {
    return make_error(PYRO_ERROR_INVALID, "{} is odd", value);
  }
  return value / 2;
}

Result<int> quarter(int value) {
  PYRO_TRY_ASSIGN(const int first, half(value));
  PYRO_TRY_ASSIGN(const int second, half(first));
  return second;
}

Status check_even(int value) {
  PYRO_TRY(half(value));
  return success();
}

}  // namespace

TEST_SUITE("base") {
  TEST_CASE("result: a value → ok, an error → its code and message") {
    const auto good = half(8);
    REQUIRE(good.ok());
    CHECK(*good == 4);
    const auto bad = half(7);
    REQUIRE_FALSE(bad.ok());
    CHECK(bad.error().code == PYRO_ERROR_INVALID);
    CHECK(bad.error().message == "7 is odd");
    CHECK(bad.error().sys_errno == 0);
  }

  TEST_CASE("result: PYRO_TRY and PYRO_TRY_ASSIGN → the first error comes out, else the value") {
    CHECK(*quarter(12) == 3);
    CHECK(quarter(6).error().message == "3 is odd");
    CHECK(check_even(2).ok());
    CHECK(check_even(3).error().code == PYRO_ERROR_INVALID);
  }

  TEST_CASE("result: a value that can only be moved → moved out") {
    Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
    const std::unique_ptr<int> owned = *std::move(result);
    CHECK(*owned == 5);
  }

  TEST_CASE("result: errno → text in the message, a group in the code, the number kept") {
    const Error error = errno_error(ENOSPC, "cannot write x");
    CHECK(error.code == PYRO_ERROR_LIMIT);
    CHECK(error.message == "cannot write x: No space left on device");
    CHECK(error.sys_errno == ENOSPC);
    CHECK(status_of_errno(EMFILE) == PYRO_ERROR_LIMIT);
    CHECK(status_of_errno(ENOENT) == PYRO_ERROR_NOT_FOUND);
    CHECK(status_of_errno(EACCES) == PYRO_ERROR_INVALID);
    CHECK(status_of_errno(EIO) == PYRO_ERROR_INTERNAL);
  }
}

}  // namespace pyro::base
