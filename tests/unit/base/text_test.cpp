#include "base/text.hpp"

#include <doctest/doctest.h>

using pyro::base::Lines;
using pyro::base::printable;

TEST_CASE("printable: valid UTF-8 stays, every other byte becomes a question mark") {
  CHECK(printable("plain ä € 😀", 100) == "plain ä € 😀");
  CHECK(printable("\x80\xc0\xaf\xe0\x80\xaf\xed\xa0\x80\xf5", 100) == "??????????");
  CHECK(printable("cut \xe2\x82", 100) == "cut ??");
}

TEST_CASE("printable: control characters of ASCII and of Unicode → spaces, or gone where lines are kept") {
  CHECK(printable("a\tb\x7f\r\n\x01 c", 100) == "a b     c");
  CHECK(printable("a\xc2\x9b"
                  "31mb",
                  100) == "a 31mb");
  CHECK(printable("a\tb\x7f\r\n\x01 c", 100, Lines::many) == "a\tb\n c");
  CHECK(printable(std::string_view("nul\0!", 5), 100) == "nul !");
}

TEST_CASE("printable: sequences that drive a terminal → gone as a whole") {
  CHECK(printable("\x1b[31mred\x1b[0m, \x1b[2Jcleared", 100) == "red, cleared");
  CHECK(printable("unfinished \x1b[12;", 100) == "unfinished ");
  CHECK(printable("broken \x1b[1\nnext", 100, Lines::many) == "broken \nnext");
  CHECK(printable("title \x1b]0;x\x07", 100, Lines::many) == "title ]0;x");
}

TEST_CASE("printable: too long → cut behind a whole character") {
  CHECK(printable("abcdef", 3) == "abc");
  CHECK(printable("ab€", 4) == "ab");
  CHECK(printable("ab€", 5) == "ab€");
  CHECK(printable("abc", 0).empty());
}
