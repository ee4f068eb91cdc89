#include "cli/json.hpp"

#include <string>

#include <doctest/doctest.h>

namespace pyro::cli {

TEST_SUITE_BEGIN("cli");

TEST_CASE("json: text with quotes and control characters -> escaped") {
  CHECK(json_string("") == "\"\"");
  CHECK(json_string("a\"b\\c\n\t\x01\x7f") == R"("a\"b\\c\n\t\u0001\u007f")");
}

TEST_CASE("json: well-formed UTF-8 -> as it is") {
  for (const std::string text : {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\xa5", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    CHECK(is_utf8(text));
    CHECK(json_string(text) == '"' + text + '"');
  }
}

TEST_CASE("json: bytes that are not UTF-8 -> one replacement for each maximal part") {
  const std::string r = "\xEF\xBF\xBD";
  CHECK_FALSE(is_utf8("\xff"));
  CHECK(json_string("a\xff\xfe"
                    "b") == "\"a" + r + r + "b\"");
  CHECK(json_string("\xe2\x82") == '"' + r + '"');  // cut short
  CHECK(json_string("\xe2\x82"
                    "A") == '"' + r + "A\"");                           // interrupted
  CHECK(json_string("\xc0\xaf") == '"' + r + r + '"');                  // overlong
  CHECK(json_string("\xed\xa0\x80") == '"' + r + r + r + '"');          // surrogate
  CHECK(json_string("\xf4\x90\x80\x80") == '"' + r + r + r + r + '"');  // above U+10FFFF
}

TEST_CASE("json: base64 -> the vectors of RFC 4648") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64(std::string("\xff\xfe\x00", 3)) == "//4A");
}

TEST_CASE("json: object -> members in order") {
  CHECK(JsonObject().str() == "{}");
  JsonObject object;
  object.add("text", "x").add("yes", true).add("less", std::int64_t{-1}).add("more", std::uint64_t{1} << 63U);
  object.add_raw("raw", "[]");
  CHECK(object.str() == R"({"text":"x","yes":true,"less":-1,"more":9223372036854775808,"raw":[]})");
}

TEST_SUITE_END();

}  // namespace pyro::cli
