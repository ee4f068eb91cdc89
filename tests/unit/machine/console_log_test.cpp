#include "machine/console_log.hpp"

#include <doctest/doctest.h>

using pyro::base::as_bytes;
using pyro::machine::ConsoleLog;

TEST_CASE("console log: a guest floods it → only the newest part is kept") {
  ConsoleLog log;
  for (int i = 0; i < 100; ++i) {
    log.append(as_bytes(std::string(4000, 'x') + "\n"));
  }
  log.append(as_bytes("last words\n"));
  CHECK(log.tail(1) == "last words");
  CHECK(log.tail(1000).size() <= 8 * 1024);
}

TEST_CASE("console log: fewer lines than asked for → all of them") {
  ConsoleLog log;
  CHECK(log.tail(3).empty());
  log.append(as_bytes("one\ntwo\nthree\n"));
  CHECK(log.tail(2) == "two\nthree");
  CHECK(log.tail(3) == "one\ntwo\nthree");
  CHECK(log.tail(10) == "one\ntwo\nthree");
}

TEST_CASE("console log: escape sequences and control characters → removed") {
  ConsoleLog log;
  log.append(as_bytes("\x1b[31mred\x1b[0m\x07\x08 text\r\n\x1b[2J\x1b"));
  CHECK(log.tail(5) == "red text");
}

TEST_CASE("console log: a panic → its reason, the last one") {
  ConsoleLog log;
  CHECK(log.panic_reason().empty());
  log.append(as_bytes(
      "Kernel panic - not syncing: first\r\nnoise\r\n[  1.0] Kernel panic - not syncing: sysrq triggered crash\r\n"));
  CHECK(log.panic_reason() == "sysrq triggered crash");
}

TEST_CASE("console log: a panic line without an end → bounded") {
  ConsoleLog log;
  log.append(as_bytes("Kernel panic - not syncing: " + std::string(5000, 'a')));
  CHECK(log.panic_reason().size() == 200);
}
