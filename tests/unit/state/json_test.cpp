#include "state/json.hpp"

#include "state/status_name.hpp"

#include <doctest/doctest.h>
#include <boost/json.hpp>

namespace pyro::state {

namespace {

boost::json::value parsed(std::string_view text) {
  return parse_json(text, 1000, "test").value();
}

}  // namespace

TEST_CASE("parse_json: too large, too deep, not JSON or more than one document → an error that names the document") {
  CHECK(parse_json("{\"a\":1}", 7, "thing").ok());
  const auto large = parse_json("{\"a\":1}", 6, "thing");
  CHECK(large.error().code == PYRO_ERROR_LIMIT);
  CHECK(large.error().message.find("thing") == 0);
  CHECK(parse_json("{} {}", 100, "thing").error().code == PYRO_ERROR_INVALID);
  CHECK(parse_json("{", 100, "thing", PYRO_ERROR_ENVIRONMENT).error().code == PYRO_ERROR_ENVIRONMENT);
  CHECK_FALSE(parse_json("\"\xff\"", 100, "thing").ok());
  const std::string deep = std::string(kMaxJsonDepth + 1, '[') + std::string(kMaxJsonDepth + 1, ']');
  CHECK_FALSE(parse_json(deep, 100, "thing").ok());
}

TEST_CASE("JsonObjectReader: all members read and in range → success") {
  const auto value = parsed(R"({"name":"x","count":-3,"on":true,"list":[1]})");
  JsonObjectReader reader(value, "thing", PYRO_ERROR_INVALID);
  CHECK(reader.text("name", 1) == "x");
  CHECK(reader.number("count", -3, 0) == -3);
  CHECK(reader.flag_or("on", false));
  CHECK(reader.text_or("other", 5, "fallback") == "fallback");
  CHECK(reader.number_or("none", 0, 1, 9) == 9);
  REQUIRE(reader.member("list") != nullptr);
  CHECK(reader.finish().ok());
}

TEST_CASE("JsonObjectReader: an unread member is refused by name") {
  const auto value = parsed(R"({"name":"x","surprise":1})");
  JsonObjectReader reader(value, "thing", PYRO_ERROR_ENVIRONMENT);
  reader.text("name", 10);
  const auto status = reader.finish();
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == PYRO_ERROR_ENVIRONMENT);
  CHECK(status.error().message == "thing: unknown member \"surprise\"");
}

TEST_CASE("JsonObjectReader: a member of another kind, out of range or with control characters is refused") {
  const auto value = parsed(R"({"text":"ab","control":"a\nb","number":5,"big":18446744073709551615,"flag":1})");
  const auto refuses = [&](auto read) {
    JsonObjectReader reader(value, "thing", PYRO_ERROR_INVALID);
    read(reader);
    return reader.finish().error().message;
  };
  CHECK(refuses([](auto& reader) { reader.text("text", 1); }).find("too long") != std::string::npos);
  CHECK(refuses([](auto& reader) { reader.text("number", 9); }).find("not text") != std::string::npos);
  CHECK(refuses([](auto& reader) { reader.text("control", 9); }).find("control") != std::string::npos);
  CHECK(refuses([](auto& reader) { reader.text("absent", 9); }).find("missing") != std::string::npos);
  CHECK(refuses([](auto& reader) { reader.number("number", 6, 9); }).find("from 6 to 9") != std::string::npos);
  CHECK(refuses([](auto& reader) { reader.number("big", 0, INT64_MAX); }).find("big") != std::string::npos);
  CHECK(refuses([](auto& reader) { reader.flag_or("flag", true); }).find("neither") != std::string::npos);
}

TEST_CASE("JsonObjectReader: what is not an object is refused, and reading from it gives nothing") {
  const auto value = parsed("[]");
  JsonObjectReader reader(value, "thing", PYRO_ERROR_INVALID);
  CHECK(reader.text("a", 9).empty());
  CHECK(reader.finish().error().message == "thing: it is not an object");
}

TEST_CASE("status names: each status has one, and it leads back") {
  for (const pyro_status status :
       {PYRO_OK, PYRO_ERROR_INVALID, PYRO_ERROR_FORKED, PYRO_ERROR_NOT_FOUND, PYRO_ERROR_EXISTS, PYRO_ERROR_STATE,
        PYRO_ERROR_UNSUPPORTED, PYRO_ERROR_LIMIT, PYRO_ERROR_ENVIRONMENT, PYRO_ERROR_BOOT, PYRO_ERROR_NOT_STARTED,
        PYRO_ERROR_OUTCOME_UNKNOWN, PYRO_ERROR_TIMEOUT, PYRO_ERROR_CANCELLED, PYRO_ERROR_INTERNAL}) {
    CHECK(status_from_name(status_name(status)) == status);
  }
  CHECK(status_from_name("no such") == PYRO_ERROR_INTERNAL);
  CHECK(std::string_view(status_name(static_cast<pyro_status>(12345))) == "internal");
}

}  // namespace pyro::state
