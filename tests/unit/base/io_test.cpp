#include "base/io.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::base {

namespace {

// A folder of its own for one test case, removed with it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "pyro-unit-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::string path_;
};

bool is_cloexec(int fd) {
  return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

}  // namespace

TEST_SUITE("base") {
  TEST_CASE("fd: everything this project opens → close-on-exec") {
    const TemporaryFolder folder;
    const auto file = open_file(folder / "file", O_WRONLY | O_CREAT, 0600);
    const auto pipe = make_pipe();
    const auto sockets = make_socket_pair();
    const auto memory = make_memfd("test");
    REQUIRE(file.ok());
    REQUIRE(pipe.ok());
    REQUIRE(sockets.ok());
    REQUIRE(memory.ok());
    const auto copy = file->duplicate();
    REQUIRE(copy.ok());
    for (const int fd : {file->get(), pipe->first.get(), pipe->second.get(), sockets->first.get(),
                         sockets->second.get(), memory->get(), copy->get()}) {
      CHECK(is_cloexec(fd));
    }
  }

  TEST_CASE("fd: moved, released, reset → closed exactly once") {
    auto pipe = make_pipe();
    REQUIRE(pipe.ok());
    const int number = pipe->first.get();
    Fd moved = std::move(pipe->first);
    CHECK(moved.get() == number);
    Fd other;
    other = std::move(moved);
    CHECK(::fcntl(number, F_GETFD) >= 0);
    const Fd taken(other.release());
    CHECK_FALSE(other.valid());
    CHECK(taken.valid());
    errno = EBUSY;
    pipe->second.reset();
    CHECK(errno == EBUSY);
    char byte = 0;
    CHECK(::read(taken.get(), &byte, 1) == 0);
  }

  TEST_CASE("io: a file written atomically → there with its mode, replaced whole, no left-over") {
    const TemporaryFolder folder;
    const std::string path = folder / "file";
    REQUIRE(write_file_atomically(path, "one", 0600).ok());
    REQUIRE(write_file_atomically(path, "two", 0400).ok());
    const auto content = read_file(path, 100);
    REQUIRE(content.ok());
    CHECK(*content == "two");
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0400);
    CHECK(folder.entries() == 1);
  }

  TEST_CASE("io: a file that cannot be put in place → an error that names it, no left-over") {
    const TemporaryFolder folder;
    REQUIRE(make_directories(folder / "taken/inner", 0700).ok());
    const auto status = write_file_atomically(folder / "taken", "content", 0600);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().message.find(folder / "taken") != std::string::npos);
    CHECK(folder.entries() == 1);
  }

  TEST_CASE("io: a file longer than the caller wants → refused as a limit; just as long → read") {
    const TemporaryFolder folder;
    REQUIRE(write_file_atomically(folder / "file", "12345", 0600).ok());
    CHECK(*read_file(folder / "file", 5) == "12345");
    const auto refused = read_file(folder / "file", 4);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == PYRO_ERROR_LIMIT);
  }

  TEST_CASE("io: a file that is not there → not found, with its path") {
    const TemporaryFolder folder;
    const auto missing = read_file(folder / "missing", 10);
    REQUIRE_FALSE(missing.ok());
    CHECK(missing.error().code == PYRO_ERROR_NOT_FOUND);
    CHECK(missing.error().sys_errno == ENOENT);
    CHECK(missing.error().message.find(folder / "missing") != std::string::npos);
  }

  TEST_CASE("io: folders made with parents → there, with the mode; a file in the way → an error") {
    const TemporaryFolder folder;
    REQUIRE(make_directories(folder / "a/b/c", 0700).ok());
    REQUIRE(make_directories(folder / "a/b/c", 0700).ok());
    struct stat info {};
    REQUIRE(::stat((folder / "a/b").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0700);
    REQUIRE(write_file_atomically(folder / "file", "", 0600).ok());
    CHECK_FALSE(make_directories(folder / "file", 0700).ok());
    CHECK_FALSE(make_directories(folder / "file/below", 0700).ok());
  }

  TEST_CASE("io: write_all to a socket whose reader is gone → an error, no SIGPIPE") {
    auto sockets = make_socket_pair();
    REQUIRE(sockets.ok());
    sockets->second.reset();
    const auto status = write_all(sockets->first.get(), as_bytes("x"), "to a socket");
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().sys_errno == EPIPE);
  }

  TEST_CASE("io: write_all and read_all through a pipe → the same bytes") {
    auto pipe = make_pipe();
    REQUIRE(pipe.ok());
    REQUIRE(write_all(pipe->second.get(), as_bytes("some bytes"), "to a pipe").ok());
    pipe->second.reset();
    const auto content = read_all(pipe->first.get(), 100, "from a pipe");
    REQUIRE(content.ok());
    CHECK(*content == "some bytes");
  }
}

}  // namespace pyro::base
