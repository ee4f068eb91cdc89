#include "image/request.hpp"

#include <doctest/doctest.h>

namespace pyro::image {

namespace {

pyro_status code_of(std::string_view line) {
  const auto request = parse_request(line, "b");
  return request.ok() ? PYRO_OK : request.error().code;
}

}  // namespace

TEST_CASE("request: every member arrives") {
  const auto request = parse_request(
      R"({"build_id":"b","op":"import","home":"/h","name":"debian:12","path":"/p","verify":true,"force":true,"all":true,"mib":7})",
      "b");
  REQUIRE(request.ok());
  CHECK(request->operation == Operation::import_environment);
  CHECK(request->home == "/h");
  CHECK(request->name == "debian:12");
  CHECK(request->path == "/p");
  CHECK((request->verify && request->force && request->all));
  CHECK(request->mib == 7);
}

TEST_CASE("request: a client of another build is told to install both from one, whatever else it sent") {
  const auto request = parse_request(R"({"build_id":"other","op":"dance","home":"/h","new":1})", "b");
  REQUIRE_FALSE(request.ok());
  CHECK(request.error().code == PYRO_ERROR_UNSUPPORTED);
  CHECK(request.error().message.find("PYRO_LIBEXEC") != std::string::npos);
}

TEST_CASE("request: what an operation needs is checked before anything is done") {
  CHECK(code_of(R"({"build_id":"b","op":"list","home":"/h"})") == PYRO_OK);
  CHECK(code_of(R"({"build_id":"b","op":"list","home":"h"})") == PYRO_ERROR_INVALID);
  CHECK(code_of(R"({"build_id":"b","op":"list"})") == PYRO_ERROR_INVALID);
  CHECK(code_of(R"({"build_id":"b","op":"dance","home":"/h"})") == PYRO_ERROR_INVALID);
  CHECK(code_of(R"({"build_id":"b","op":"build","home":"/h"})") == PYRO_ERROR_INVALID);
  CHECK(code_of(R"({"build_id":"b","op":"build","home":"/h","name":"../x"})") == PYRO_ERROR_INVALID);
  CHECK(code_of(R"({"build_id":"b","op":"prune","home":"/h","name":"a/b"})") == PYRO_ERROR_INVALID);
  CHECK(code_of(R"({"build_id":"b","op":"export","home":"/h","name":"a","path":"rel"})") == PYRO_ERROR_INVALID);
  CHECK(code_of(R"({"build_id":"b","op":"import","home":"/h","name":"a"})") == PYRO_ERROR_INVALID);
  CHECK(code_of(R"({"build_id":"b","op":"list","home":"/h","surprise":1})") == PYRO_ERROR_INVALID);
  CHECK(code_of("hello") == PYRO_ERROR_INVALID);
}

TEST_CASE("request: a scratch disk has 64 MiB to 1 TiB") {
  CHECK(code_of(R"({"build_id":"b","op":"scratch","home":"/h","mib":64})") == PYRO_OK);
  CHECK(code_of(R"({"build_id":"b","op":"scratch","home":"/h","mib":1048576})") == PYRO_OK);
  CHECK(code_of(R"({"build_id":"b","op":"scratch","home":"/h","mib":63})") == PYRO_ERROR_INVALID);
  CHECK(code_of(R"({"build_id":"b","op":"scratch","home":"/h","mib":1048577})") == PYRO_ERROR_INVALID);
  CHECK(code_of(R"({"build_id":"b","op":"scratch","home":"/h"})") == PYRO_ERROR_INVALID);
}

}  // namespace pyro::image
