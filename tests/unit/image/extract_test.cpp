#include "image/extract.hpp"

#include "base/io.hpp"
#include "image/command.hpp"
#include "scoped_directory.hpp"

#include <cstring>
#include <sstream>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::image {

namespace {

/// A ustar archive, written by hand so that it can hold what no honest tool writes.
class TarWriter {
 public:
  TarWriter& add(const std::string& name, char kind, const std::string& content = "", const std::string& target = "") {
    std::string header(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
    put(0, name);
    put(100, kind == '5' ? "0000755" : "0000644");
    put(108, fmt::format("{:07o}", ::getuid()));
    put(116, fmt::format("{:07o}", ::getgid()));
    put(124, fmt::format("{:011o}", content.size()));
    put(136, "00000000000");
    put(148, "        ");
    put(156, std::string(1, kind));
    put(157, target);
    put(257, std::string("ustar\00000", 8));
    unsigned sum = 0;
    for (const char c : header) {
      sum += static_cast<unsigned char>(c);
    }
    put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    bytes_ += header + content + std::string((512 - content.size() % 512) % 512, '\0');
    return *this;
  }
  [[nodiscard]] std::string finish() const { return bytes_ + std::string(1024, '\0'); }

 private:
  std::string bytes_;
};

/// Unpacks into a directory "in" of its own, beside which lies "outside"; gives the result's message, "" if it is good.
/// In a child, since unpacking works on the working directory.
std::string unpack(const ScopedDirectory& directory, const std::string& archive, ExtractCounts* counts = nullptr,
                   std::uint64_t max_bytes = 1u << 20) {
  directory.write("outside/file", "untouched");
  directory.write("archive.tar", archive);
  ::mkdir(directory.file("in").c_str(), 0755);
  auto pipe = base::make_pipe();
  REQUIRE(pipe.ok());
  const auto child = fork_child([&] {
    ExtractLimits limits;
    limits.max_bytes = max_bytes;
    limits.max_entries = 100;
    const auto fd = base::open_file(directory.file("archive.tar"), O_RDONLY);
    if (!fd.ok() || ::chdir(directory.file("in").c_str()) != 0) {
      return 1;
    }
    const auto result = extract_here(fd->get(), "it", limits, [](const ExtractCounts&) {});
    const std::string text = result.ok() ? fmt::format("{} {} {}", result->entries, result->bytes, result->skipped)
                                         : "!" + result.error().message;
    return base::write_all(pipe->second.get(), base::as_bytes(text), "pipe").ok() ? 0 : 1;
  });
  REQUIRE(child.ok());
  pipe->second.reset();
  const std::string text = base::read_all(pipe->first.get(), 10'000, "pipe").value();
  CHECK(wait_for_child(child.value()) == 0);
  CHECK(directory.read("outside/file") == "untouched");
  if (text.starts_with("!")) {
    return text.substr(1);
  }
  if (counts != nullptr) {
    std::istringstream(text) >> counts->entries >> counts->bytes >> counts->skipped;
  }
  return {};
}

}  // namespace

TEST_CASE("unpacking: files, directories, links and modes arrive; device nodes are counted and left out") {
  const ScopedDirectory directory;
  ExtractCounts counts;
  const std::string archive = TarWriter()
                                  .add("./", '5')
                                  .add("./usr/", '5')
                                  .add("usr/hello", '0', "content")
                                  .add("usr/hard", '1', "", "./usr/hello")
                                  .add("usr/soft", '2', "", "/usr/hello")
                                  .add("null", '3')
                                  .add("disk", '4')
                                  .finish();
  CHECK(unpack(directory, archive, &counts) == "");
  CHECK(directory.read("in/usr/hello") == "content");
  CHECK(directory.read("in/usr/hard") == "content");
  CHECK(std::filesystem::read_symlink(directory.file("in/usr/soft")) == "/usr/hello");
  CHECK(counts.bytes == 7);
  CHECK(counts.skipped == 2);
  CHECK_FALSE(std::filesystem::exists(directory.file("in/null")));
}

TEST_CASE("unpacking: names that lead out are refused") {
  for (const char* name : {"../outside/file", "usr/../../outside/file", "/etc/pyro-test", "..", "a/.."}) {
    CAPTURE(name);
    const ScopedDirectory directory;
    CHECK(unpack(directory, TarWriter().add(name, '0', "evil").finish()).find("refused") != std::string::npos);
  }
}

TEST_CASE("unpacking: a file through a link, or a hard link to the outside, does not get there") {
  SUBCASE("through a symbolic link") {
    const ScopedDirectory directory;
    const std::string archive = TarWriter().add("way", '2', "", "../outside").add("way/file", '0', "evil").finish();
    CHECK(unpack(directory, archive) != "");
  }
  SUBCASE("hard link upwards") {
    const ScopedDirectory directory;
    CHECK(unpack(directory, TarWriter().add("x", '1', "", "../outside/file").finish()) != "");
  }
  SUBCASE("hard link by an absolute name") {
    const ScopedDirectory directory;
    CHECK(unpack(directory, TarWriter().add("x", '1', "", directory.file("outside/file")).finish()) != "");
  }
  SUBCASE("hard link through a symbolic link, then written") {
    const ScopedDirectory directory;
    const std::string archive =
        TarWriter().add("way", '2', "", "../outside").add("x", '1', "", "way/file").add("x", '0', "evil").finish();
    unpack(directory, archive);
  }
}

TEST_CASE("unpacking: more bytes or files than allowed are refused before they are written") {
  const ScopedDirectory directory;
  CHECK(unpack(directory, TarWriter().add("x", '0', std::string(2000, 'x')).finish(), nullptr, 1000).find("free") !=
        std::string::npos);
  TarWriter many;
  for (int i = 0; i < 101; ++i) {
    many.add("f" + std::to_string(i), '0');
  }
  CHECK(unpack(directory, many.finish()).find("more than 100 files") != std::string::npos);
}

TEST_CASE("unpacking: bodies of hard links count like any other") {
  const ScopedDirectory directory;
  // Only pax archives have them.
  const std::string archive = TarWriter()
                                  .add("x", '0', "x")
                                  .add("pax", 'x', "16 comment=hiya\n")
                                  .add("y", '1', std::string(2000, 'y'), "x")
                                  .finish();
  CHECK(unpack(directory, archive, nullptr, 1000).find("free") != std::string::npos);
  CHECK(directory.read("in/x") == "x");
}

TEST_CASE("unpacking: what is cut or no archive is refused") {
  const ScopedDirectory directory;
  const std::string archive = TarWriter().add("x", '0', std::string(2000, 'x')).finish();
  CHECK(unpack(directory, archive.substr(0, 1000)) != "");
  CHECK(unpack(directory, "this is no archive") != "");
}

TEST_CASE("entry names: the rules alone") {
  CHECK(check_entry_name("usr/bin/..hidden").ok());
  CHECK(check_entry_name("a b\nc").ok());
  CHECK_FALSE(check_entry_name("").ok());
  CHECK_FALSE(check_entry_name(std::string(3000, 'a')).ok());
  CHECK_FALSE(check_entry_name("a/../b").ok());
}

}  // namespace pyro::image
