// Running programs, locks between processes, ids of user namespaces, trees.
#include "image/command.hpp"
#include "image/id_map.hpp"
#include "image/lock.hpp"
#include "image/tree.hpp"
#include "scoped_directory.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::image {

TEST_CASE("tools: lines arrive, variables are set, stdin is not theirs") {
  Command command;
  std::vector<std::string> lines;
  command.argv = {"sh", "-c", "echo \"$WORD\"; echo two >&2; printf 'a\\rb'"};
  command.env = {{"WORD", "one"}};
  command.on_line = [&](std::string_view line) { lines.emplace_back(line); };
  CHECK(run_tool(command).ok());
  CHECK(lines == std::vector<std::string>{"one", "two", "a", "b"});
}

TEST_CASE("tools: a failure tells the program, how it ended and its last words; a full disk is a limit") {
  const auto failure = [](const char* script) {
    Command command;
    command.argv = {"sh", "-c", script};
    return run_tool(command).error();
  };
  CHECK(failure("echo why >&2; exit 3").message == "sh failed with exit code 3: why");
  CHECK(failure("exit 3").code == PYRO_ERROR_ENVIRONMENT);
  CHECK(failure("kill -9 $$").message.find("signal 9") != std::string::npos);
  CHECK(failure("echo 'E: the cause'; echo 'E: its effect' >&2; for i in 1 2 3 4 5; do echo noise; done; exit 1")
            .message == "sh failed with exit code 1: the cause; its effect");
  CHECK(failure("echo 'x: No space left on device'; exit 1").code == PYRO_ERROR_LIMIT);
}

TEST_CASE("tools: one that is missing names the package that has it") {
  const auto status = require_tool("no-such-program-anywhere", "some-package");
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == PYRO_ERROR_UNSUPPORTED);
  CHECK(status.error().message.find("apt-get install some-package") != std::string::npos);
  CHECK(require_tool("sh", "dash").ok());
}

TEST_CASE("locks: exclusive keeps others out until released; shared lets shared in") {
  const ScopedDirectory directory;
  const std::string path = directory.file("lock");
  {
    const auto held = FileLock::try_acquire(path, LockKind::exclusive);
    REQUIRE((held.ok() && held.value()));
    CHECK_FALSE(FileLock::try_acquire(path, LockKind::shared)->has_value());
  }
  const auto first = FileLock::try_acquire(path, LockKind::shared);
  CHECK(FileLock::try_acquire(path, LockKind::shared)->has_value());
  CHECK_FALSE(FileLock::try_acquire(path, LockKind::exclusive)->has_value());
}

TEST_CASE("subordinate ids: the first range that is large enough, by name or number") {
  const char* text =
      "# comment\nother:1:65536\nuser:100000:1000\nuser:200000:65536\n1000:300000:65536\nbroken\nuser:x:y\n";
  CHECK(find_subordinate_range(text, "user", 1).first == 200000);
  CHECK(find_subordinate_range(text, "nobody", 1000).first == 300000);
  CHECK(find_subordinate_range(text, "absent", 5).count == 0);
  CHECK(find_subordinate_range("", "user", 1).count == 0);
  CHECK(next_free_id(text) == 365536);
  CHECK(next_free_id("") == 100000);
}

TEST_CASE("trees: removing follows no link and takes everything else") {
  const ScopedDirectory directory;
  directory.write("outside/file", "x");
  directory.write("tree/a/b/c", "x");
  std::filesystem::create_symlink(directory.file("outside"), directory.file("tree/link"));
  CHECK(tree_size(directory.file("tree")) > 0);
  CHECK(remove_tree(directory.file("tree")).ok());
  CHECK_FALSE(std::filesystem::exists(directory.file("tree")));
  CHECK(directory.read("outside/file") == "x");
  CHECK(remove_tree(directory.file("tree")).ok());
}

TEST_CASE("trees: an imported one gets the guest's directories, and must look like a root file system") {
  const ScopedDirectory directory;
  CHECK(prepare_imported_tree(directory.path()).error().code == PYRO_ERROR_INVALID);
  directory.write("usr/bin/sh", "");
  CHECK(prepare_imported_tree(directory.path()).ok());
  struct stat info {};
  REQUIRE(::stat(directory.file("workspace").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0777);
  std::filesystem::remove(directory.file("workspace"));
  std::filesystem::create_symlink("/etc", directory.file("workspace"));
  CHECK(prepare_imported_tree(directory.path()).error().code == PYRO_ERROR_INVALID);
}

TEST_CASE("trees: byte-compiled Python gets the time that its source has in the image") {
  const ScopedDirectory directory;
  directory.write("usr/lib/m.pyc", std::string("\xa7\r\r\n\0\0\0\0\1\2\3\4\5\0\0\0body", 20));
  directory.write("usr/lib/hashed.pyc", std::string("\xa7\r\r\n\1\0\0\0\1\2\3\4\5\6\7\10body", 20));
  directory.write("etc/machine-id", "0123");
  directory.write("etc/apt/sources.list", "deb http://mirror.example x main");
  directory.write("dev/null", "");
  CHECK(tidy_built_tree(directory.path()).ok());
  const std::string stamped = directory.read("usr/lib/m.pyc");
  std::uint32_t time = 0;
  std::memcpy(&time, stamped.data() + 8, 4);
  CHECK(time == kSourceDateEpoch);
  CHECK(stamped.substr(12) == std::string("\5\0\0\0body", 8));
  CHECK(directory.read("usr/lib/hashed.pyc").substr(8, 4) == "\1\2\3\4");
  CHECK(directory.read("etc/machine-id").empty());
  CHECK_FALSE(std::filesystem::exists(directory.file("etc/apt/sources.list")));
  CHECK(std::filesystem::is_empty(directory.file("dev")));
  CHECK(std::filesystem::is_directory(directory.file("workspace")));
}

}  // namespace pyro::image
