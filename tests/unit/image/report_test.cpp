#include "image/report.hpp"

#include "base/fd.hpp"
#include "base/io.hpp"
#include "image/debootstrap.hpp"

#include <algorithm>

#include <doctest/doctest.h>
#include <boost/json.hpp>

namespace pyro::image {

namespace {

/// The lines that `body` makes a Report write.
template <typename Body>
std::vector<boost::json::value> lines_of(Body body) {
  auto pipe = base::make_pipe();
  REQUIRE(pipe.ok());
  {
    Report report(pipe->second.get());
    body(report);
  }
  pipe->second.reset();
  const std::string text = base::read_all(pipe->first.get(), 60'000, "lines").value();
  std::vector<boost::json::value> lines;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = text.find('\n', start);
    REQUIRE(end != std::string::npos);
    lines.push_back(boost::json::parse(text.substr(start, end - start)));
    start = end + 1;
  }
  return lines;
}

}  // namespace

TEST_CASE("report: a flood of progress is thinned, the first and the last of a stage come through") {
  const auto lines = lines_of([](Report& report) {
    for (std::uint64_t i = 1; i <= 1000; ++i) {
      report.progress("download", "d", i, 1000);
    }
    report.progress("install", "i");
  });
  REQUIRE(lines.size() >= 3);
  CHECK(lines.size() < 100);
  CHECK(lines.front().at("done").to_number<int>() == 1);
  CHECK(lines[lines.size() - 2].at("done").to_number<int>() == 1000);
  CHECK(lines.back().at("stage").as_string() == "install");
}

TEST_CASE("report: an error has the status's name and a printable message") {
  const auto lines = lines_of(
      [](Report& report) { report.error(base::make_error(PYRO_ERROR_NOT_FOUND, "no {}", "\xff\x01 \xc3\xa4 x")); });
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].at("event").as_string() == "error");
  CHECK(lines[0].at("code").as_string() == "not_found");
  CHECK(lines[0].at("message").as_string() == "no ?  \xc3\xa4 x");
}

TEST_CASE("report: an outcome lists environments, and only what belongs to it") {
  const auto lines = lines_of([](Report& report) {
    Outcome outcome;
    outcome.environments.push_back({"a", "d", true, "sha256:x", "6.1", 5, 7, std::nullopt});
    report.done(outcome);
    outcome.freed_bytes = 9;
    outcome.path = "/p";
    report.done(outcome);
  });
  REQUIRE(lines.size() == 2);
  const auto& first = lines[0].as_object();
  CHECK(first.at("environments").at(0).at("size_bytes").to_number<int>() == 5);
  CHECK_FALSE(first.contains("path"));
  CHECK_FALSE(first.contains("freed_bytes"));
  CHECK(lines[1].at("freed_bytes").to_number<int>() == 9);
  CHECK(lines[1].at("path").as_string() == "/p");
}

TEST_CASE("report: a client that is gone is no failure") {
  auto pipe = base::make_pipe();
  REQUIRE(pipe.ok());
  pipe->second.reset();
  Report report(pipe->second.get());
  report.progress("a", "b");
}

TEST_CASE("build progress: mmdebstrap's lines become stages with counts") {
  const auto lines = lines_of([](Report& report) {
    BuildProgress progress(report);
    for (const char* line :
         {"I: running apt-get update...", "Get:1 http://mirror.example/debian bookworm/main amd64 Packages [8790 kB]",
          "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.",
          "Get:2 http://mirror.example/debian bookworm/main amd64 zlib1g amd64 1:1.2.13 [86.7 kB]",
          "Setting up zlib1g:amd64 (1:1.2.13) ...", "whatever else", "P: kernel linux-image-6.1", "Setting up",
          "Get:"}) {
      progress.line(line);
    }
  });
  const auto stage = [&](const char* name) {
    return std::find_if(lines.begin(), lines.end(), [&](const auto& line) { return line.at("stage") == name; });
  };
  REQUIRE(stage("download") != lines.end());
  CHECK(stage("download")->at("message").as_string() == "downloading zlib1g");
  CHECK(stage("download")->at("total").to_number<int>() == 2);
  CHECK(stage("install") != lines.end());
  CHECK(stage("kernel") != lines.end());
}

TEST_CASE("package stanzas: name, version and hash, sorted, each once") {
  const std::string hash(64, '1');
  const auto packages = parse_package_stanzas("Package: zlib1g\nVersion: 1:1.2\nFilename: x\nSHA256: " + hash +
                                              "\n\nPackage: bash\nVersion: 5\nDescription: a\n b\n\nPackage: bash\n"
                                              "Version: 5\n");
  REQUIRE(packages.size() == 2);
  CHECK(packages[0].name == "bash");
  CHECK(packages[0].sha256.empty());
  CHECK(packages[1].version == "1:1.2");
  CHECK(packages[1].sha256 == hash);
}

}  // namespace pyro::image
