#include "cli/detach_keys.hpp"

#include <pyro/pyro.hpp>

#include <doctest/doctest.h>

namespace pyro::cli {

TEST_SUITE_BEGIN("cli");

TEST_CASE("detach keys: typed at once or one by one -> detached, what came before is passed on, what follows is not") {
  DetachKeys keys = DetachKeys::standard();
  std::string out;
  CHECK(keys.filter("ls\n\x10\x11rm", out));
  CHECK(out == "ls\n");
  out.clear();
  CHECK_FALSE(keys.filter("\x10", out));
  CHECK(out.empty());
  CHECK(keys.filter("\x11", out));
  CHECK(out.empty());
}

TEST_CASE("detach keys: a beginning that goes on otherwise -> passed on whole; one that begins anew -> seen") {
  DetachKeys keys = DetachKeys::parse("--detach-keys", "a,a,b");
  std::string out;
  CHECK_FALSE(keys.filter("aac", out));
  CHECK(out == "aac");
  CHECK(keys.filter("aaab", out));
  CHECK(out == "aaca");
}

TEST_CASE("detach keys: none -> every key is passed on") {
  DetachKeys keys = DetachKeys::parse("--detach-keys", "none");
  std::string out;
  CHECK_FALSE(keys.filter("\x10\x11", out));
  CHECK(out == "\x10\x11");
}

TEST_CASE("detach keys: lists -> what a terminal sends; nonsense -> refused") {
  DetachKeys keys = DetachKeys::parse("--detach-keys", "ctrl-],d");
  std::string out;
  CHECK(
      keys.filter("\x1d"
                  "d",
                  out));
  for (const char* wrong : {"", "ctrl-", "ctrl-p,", "hyper-x", "ctrl-@", "a,,b", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS((void)DetachKeys::parse("--detach-keys", wrong), Error);
  }
}

TEST_SUITE_END();

}  // namespace pyro::cli
