#include "image/apt_sources.hpp"

#include "scoped_directory.hpp"

#include <doctest/doctest.h>

namespace pyro::image {

TEST_CASE("apt sources: deb822 stanzas → fields, with comments left out and continued lines kept") {
  const auto sources = parse_deb822_sources(
      "# a comment\nTypes: deb deb-src\nURIs: http://mirror.example/debian\n# another\nSuites: bookworm "
      "bookworm-updates\nComponents: main contrib\nSigned-By:\n -----BEGIN PGP\n .\n abc\n\n\nTypes: deb\nURIs: x\n");
  REQUIRE(sources.size() == 2);
  CHECK(sources[0].at("Types") == "deb deb-src");
  CHECK(sources[0].at("Suites") == "bookworm bookworm-updates");
  CHECK(sources[0].at("Signed-By") == "\n -----BEGIN PGP\n .\n abc");
  CHECK(sources[1].at("URIs") == "x");
}

TEST_CASE("apt sources: one-line format → the same fields") {
  const auto sources = parse_one_line_sources(
      "deb [ arch=amd64,i386 signed-by=/k.gpg lang=none ] http://mirror.example/debian bookworm main contrib # why\n"
      "#deb http://off.example/debian bookworm main\nnonsense\ndeb [ broken http://x bookworm main\n"
      "deb-src http://mirror.example/debian bookworm main\n");
  REQUIRE(sources.size() == 2);
  CHECK(sources[0].at("URIs") == "http://mirror.example/debian");
  CHECK(sources[0].at("Components") == "main contrib");
  CHECK(sources[0].at("Architectures") == "amd64 i386");
  CHECK(sources[0].at("Signed-By") == "/k.gpg");
  CHECK_FALSE(sources[0].contains("Languages"));
  CHECK(sources[1].at("Types") == "deb-src");
}

TEST_CASE("apt sources: only Debian's bookworm is selected, reduced to main") {
  const auto selected = select_debian_sources(parse_one_line_sources(
      "deb http://mirror.example/debian bookworm main contrib\n"
      "deb http://mirror.example/debian-security bookworm-security main\n"
      "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://local.example/cache bookworm-updates "
      "main\n"
      "deb http://mirror.example/debian bookworm-backports main\n"
      "deb http://mirror.example/debian trixie main\n"
      "deb http://mirror.example/debian bookworm contrib\n"
      "deb-src http://mirror.example/debian bookworm main\n"
      "deb [signed-by=/usr/share/keyrings/vendor.gpg] http://vendor.example/debian bookworm main\n"
      "deb http://debian.vendor.example/packages bookworm main\n"));
  REQUIRE(selected.size() == 3);
  CHECK(selected[0].at("Components") == "main");
  CHECK(selected[1].at("Suites") == "bookworm-security");
  CHECK(selected[2].at("Signed-By") == "/usr/share/keyrings/debian-archive-keyring.gpg");
}

TEST_CASE("apt sources: a stanza that is switched off is not used") {
  AptSource source = {{"Types", "deb"},
                      {"URIs", "http://mirror.example/debian"},
                      {"Suites", "bookworm"},
                      {"Components", "main"},
                      {"Enabled", "no"}};
  CHECK(select_debian_sources({source}).empty());
  source["Enabled"] = "yes";
  CHECK(select_debian_sources({source}).size() == 1);
}

TEST_CASE("apt sources: what is written reads back the same") {
  const std::vector<AptSource> sources = {{{"Types", "deb"},
                                           {"URIs", "http://mirror.example/debian"},
                                           {"Suites", "bookworm"},
                                           {"Components", "main"},
                                           {"Signed-By", "\n -----BEGIN PGP\n .\n abc"}}};
  CHECK(parse_deb822_sources(write_deb822(sources)) == sources);
}

TEST_CASE("apt sources: a host with bookworm gives its text, one without is told to import") {
  const ScopedDirectory apt;
  apt.write("sources.list.d/vendor.list", "deb http://vendor.example/apt bookworm main\n");
  apt.write("sources.list.d/off.list.disabled", "deb http://mirror.example/debian bookworm main\n");
  const auto none = read_host_sources(apt.path());
  REQUIRE_FALSE(none.ok());
  CHECK(none.error().code == PYRO_ERROR_UNSUPPORTED);
  CHECK(none.error().message.find("pyro env import") != std::string::npos);

  apt.write("sources.list", "deb http://mirror.example/debian bookworm main\n");
  const auto found = read_host_sources(apt.path());
  REQUIRE(found.ok());
  CHECK(found->find("mirror.example/debian") != std::string::npos);
  CHECK(found->find("vendor") == std::string::npos);
}

}  // namespace pyro::image
