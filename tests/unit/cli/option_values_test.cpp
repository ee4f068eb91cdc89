#include "cli/option_values.hpp"

#include <cstdlib>
#include <limits>

#include <doctest/doctest.h>

namespace pyro::cli {

TEST_SUITE_BEGIN("cli");

TEST_CASE("option values: numbers -> whole and above 0, or refused by the option's name") {
  CHECK(parse_count("--cpus", "16") == 16);
  for (const char* text : {"", "0", "-1", "1.5", "x", "1x", " 1", "4294967296"}) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS(parse_count("--cpus", text), doctest::Contains("--cpus"), Error);
  }
}

TEST_CASE("option values: memory -> MiB without a unit, M and G with one") {
  CHECK(parse_mib("--memory", "512") == 512);
  CHECK(parse_mib("--memory", "512M") == 512);
  CHECK(parse_mib("--memory", "2g") == 2048);
  CHECK(parse_mib("--memory", "2048K") == 2);
  for (const char* text : {"", "0", "G", "1K", "1T", "-1", "99999999999G", "18446744073709551616"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_mib("--memory", text), Error);
  }
}

TEST_CASE("option values: output limit -> bytes, units, or all") {
  CHECK(parse_bytes("--output-limit", "10") == 10);
  CHECK(parse_bytes("--output-limit", "64K") == 65536);
  CHECK(parse_bytes("--output-limit", "all") == std::numeric_limits<std::uint64_t>::max());
  CHECK_THROWS_AS(parse_bytes("--output-limit", "0"), Error);
}

TEST_CASE("option values: seconds -> fractions and none; nothing that the library would take for a default") {
  CHECK(parse_seconds("--timeout", "0.5").count() == 0.5);
  CHECK(parse_seconds("--timeout", "30").count() == 30.0);
  CHECK(parse_seconds("--timeout", "none").count() == PYRO_NO_TIMEOUT);
  for (const char* text : {"", "0", "-1", "nan", "inf", "1s", "None"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_seconds("--timeout", text), Error);
  }
}

TEST_CASE("option values: engine -> one of three names") {
  CHECK(parse_engine("auto") == Engine::automatic);
  CHECK(parse_engine("software") == Engine::software);
  CHECK_THROWS_AS(parse_engine("KVM"), Error);
}

TEST_CASE("option values: variables -> the last wins, a bare name is copied, an unset one left out") {
  REQUIRE(::setenv("PYRO_TEST_HERE", "here", 1) == 0);
  REQUIRE(::unsetenv("PYRO_TEST_GONE") == 0);
  const auto variables = parse_variables({"A=1", "B=x=y", "A=2", "E=", "PYRO_TEST_HERE", "PYRO_TEST_GONE"});
  CHECK(variables ==
        std::map<std::string, std::string>{{"A", "2"}, {"B", "x=y"}, {"E", ""}, {"PYRO_TEST_HERE", "here"}});
  CHECK_THROWS_AS(parse_variables({"=x"}), Error);
  CHECK_THROWS_AS(parse_variables({""}), Error);
}

TEST_SUITE_END();

}  // namespace pyro::cli
