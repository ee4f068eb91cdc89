// What a guest sends of its files, and what is sent to it: entries, trees and tar files.
#include "client/file_result.hpp"
#include "client/file_sink.hpp"
#include "client/file_source.hpp"

#include "base/io.hpp"
#include "tree/tar.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <sys/stat.h>

using namespace pyro;
using namespace pyro::client;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "pyro-files-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string read(const std::string& path) {
  auto content = base::read_file(path, 1 << 20);
  return content.ok() ? *content : "(cannot be read)";
}

FileJob job_of(wire::FileVerb verb, const std::string& path, const std::string& local_path) {
  FileJob job;
  job.request.verb = verb;
  job.request.path = path;
  job.request.max_bytes = 1 << 20;
  job.request.max_entries = 100;
  job.local_path = local_path;
  return job;
}

base::Bytes tar_of(tree::EntryType type, const std::string& path, const std::string& content, bool ends = true) {
  tree::TarEntry entry;
  entry.type = type;
  entry.path = path;
  entry.mode = 0755;
  entry.size = content.size();
  base::Bytes bytes = tree::tar_header(entry);
  const auto view = base::as_bytes(content);
  bytes.insert(bytes.end(), view.begin(), view.end());
  bytes.resize(bytes.size() + tree::tar_padding(content.size()) + (ends ? tree::kTarEndBytes : 0));
  return bytes;
}

pyro_status receive(const FileJob& job, const base::Bytes& bytes) {
  auto sink = make_file_sink(job);
  REQUIRE(sink.ok());
  // One byte at a time: nothing depends on how it is cut.
  for (const std::byte& byte : bytes) {
    if (const auto status = (*sink)->feed(base::ByteView(&byte, 1)); !status.ok()) {
      return status.error().code;
    }
  }
  const auto status = (*sink)->finish();
  return status.ok() ? PYRO_OK : status.error().code;
}

base::Bytes framed(const wire::FileEntry& entry) {
  base::ByteWriter out;
  out.text(base::as_text(entry.encode()));
  return std::move(out).take();
}

wire::FileRequest request_of(wire::FileVerb verb, const std::string& path = "dir", std::uint64_t max_entries = 10) {
  wire::FileRequest request;
  request.verb = verb;
  request.path = path;
  request.max_entries = max_entries;
  return request;
}

/// Whether the answer to a request may have these entries.
bool takes(const wire::FileRequest& request, const std::vector<wire::FileEntry>& entries) {
  EntryCollector collector(request);
  for (const auto& entry : entries) {
    if (!collector.feed(framed(entry)).ok()) {
      return false;
    }
  }
  return collector.is_whole();
}

wire::FileEntry entry_of(const std::string& path, wire::FileChange change = wire::FileChange::none) {
  wire::FileEntry entry;
  entry.change = change;
  entry.type = wire::FileType::file;
  entry.path = path;
  entry.mode = 0644;
  entry.size = 5;
  return entry;
}

}  // namespace

TEST_CASE("file sink: a file of the guest → gets the caller's name, whatever the guest calls it") {
  const Folder folder;
  const auto bytes = tar_of(tree::EntryType::file, "../../evil", "content");
  CHECK(receive(job_of(wire::FileVerb::download, "/workspace/a", folder / "b"), bytes) == PYRO_OK);
  CHECK(read(folder / "b") == "content");
  std::filesystem::create_directory(folder / "dir");
  CHECK(receive(job_of(wire::FileVerb::download, "/workspace/a", folder / "dir"), bytes) == PYRO_OK);
  CHECK(read(folder / "dir/a") == "content");
  CHECK(receive(job_of(wire::FileVerb::download, "/workspace/..", folder / "dir"), bytes) == PYRO_ERROR_INVALID);
  CHECK(receive(job_of(wire::FileVerb::download, "a", folder / "missing/b"), bytes) == PYRO_ERROR_NOT_FOUND);
}

TEST_CASE("file sink: this process has a umask → what a download makes has none of its bits") {
  const auto mode_of = [](const std::string& path) {
    return static_cast<unsigned>(std::filesystem::status(path).permissions());
  };
  const Folder folder;
  const auto file = tar_of(tree::EntryType::file, "a", "content");
  auto job = job_of(wire::FileVerb::download, "a", folder / "file");
  const mode_t before = ::umask(027);
  CHECK(receive(job, file) == PYRO_OK);
  job.local_path = folder / "tree";
  auto tree = tar_of(tree::EntryType::directory, ".", "", false);
  tree.insert(tree.end(), file.begin(), file.end());
  CHECK(receive(job, tree) == PYRO_OK);
  job.local_path = folder / "t.tar";
  job.is_tar = true;
  CHECK(receive(job, file) == PYRO_OK);
  ::umask(before);
  CHECK(mode_of(folder / "file") == 0750);
  CHECK(mode_of(folder / "tree") == 0750);
  CHECK(mode_of(folder / "tree/a") == 0750);
  CHECK(mode_of(folder / "t.tar") == 0640);
}

TEST_CASE("file sink: a guest sends a link, a device or a path out as the first entry → refused") {
  const Folder folder;
  tree::TarEntry link;
  link.type = tree::EntryType::symlink;
  link.path = "a";
  link.link = "/etc/passwd";
  base::Bytes bytes = tree::tar_header(link);
  bytes.resize(bytes.size() + tree::kTarEndBytes);
  CHECK(receive(job_of(wire::FileVerb::download, "a", folder / "b"), bytes) == PYRO_ERROR_INVALID);
  CHECK(receive(job_of(wire::FileVerb::download, "a", folder / "tree"),
                tar_of(tree::EntryType::directory, "../out", "")) == PYRO_ERROR_INVALID);
  CHECK_FALSE(std::filesystem::exists(folder / "b"));
  CHECK_FALSE(std::filesystem::exists(folder / "out"));
}

TEST_CASE("file sink: a stream that is cut off → INVALID, and nothing under the name") {
  const Folder folder;
  auto job = job_of(wire::FileVerb::download, "a", folder / "b");
  const auto bytes = tar_of(tree::EntryType::file, "a", "content", false);
  CHECK(receive(job, {}) == PYRO_ERROR_INVALID);
  CHECK(receive(job, bytes) == PYRO_ERROR_INVALID);
  job.is_tar = true;
  job.local_path = folder / "t.tar";
  CHECK(receive(job, bytes) == PYRO_ERROR_INVALID);
  CHECK_FALSE(std::filesystem::exists(folder / "t.tar"));
  const auto whole = tar_of(tree::EntryType::file, "a", "content");
  CHECK(receive(job, whole) == PYRO_OK);
  CHECK(std::filesystem::file_size(folder / "t.tar") == whole.size());
}

TEST_CASE("tar check: more entries, contents or headers than asked for → LIMIT; what is no tar → INVALID") {
  wire::FileRequest request;
  request.max_entries = 2;
  request.max_bytes = 10;
  const auto entry = tar_of(tree::EntryType::file, "a", "12345", false);
  TarCheck entries(request);
  CHECK(entries.feed(entry).ok());
  CHECK(entries.feed(tar_of(tree::EntryType::file, "b", "", false)).ok());
  CHECK(entries.feed(tar_of(tree::EntryType::file, "c", "", false)).error().code == PYRO_ERROR_LIMIT);
  TarCheck contents(request);
  CHECK(contents.feed(entry).ok());
  CHECK(contents.feed(tar_of(tree::EntryType::file, "b", "123456", false)).error().code == PYRO_ERROR_LIMIT);
  TarCheck headers(request);
  // Behind the end nothing counts, but it is not for nothing.
  CHECK(headers.feed(base::Bytes(1024)).ok());
  CHECK(headers.finish().ok());
  CHECK(headers.feed(base::Bytes(100'000)).error().code == PYRO_ERROR_LIMIT);
  CHECK(TarCheck(request).feed(base::Bytes(512, std::byte{1})).error().code == PYRO_ERROR_INVALID);
  CHECK(TarCheck(request).finish().error().code == PYRO_ERROR_INVALID);
}

TEST_CASE("file source: content → pieces and an end, of any size asked for") {
  for (const std::size_t size : {std::size_t{1}, std::size_t{6}, std::size_t{100}}) {
    FileJob job = job_of(wire::FileVerb::write, "a", "");
    job.data = "0123456789";
    auto source = make_file_source(job);
    REQUIRE(source.ok());
    std::string content;
    bool ended = false;
    while (!(*source)->has_ended()) {
      base::Bytes piece;
      REQUIRE((*source)->fill(piece, size).ok());
      base::ByteReader reader(piece);
      const std::string part = reader.text();
      REQUIRE(reader.finished());
      CHECK_FALSE(ended);
      ended = part.empty();
      content += part;
    }
    CHECK(ended);
    CHECK(content == "0123456789");
  }
}

TEST_CASE("file source: what cannot be sent → says which file of the host") {
  const Folder folder;
  auto job = job_of(wire::FileVerb::upload, "a", folder / "none");
  CHECK(make_file_source(job).error().code == PYRO_ERROR_NOT_FOUND);
  CHECK(make_file_source(job).error().message.find("none") != std::string::npos);
  job.local_path = folder / ".";
  job.is_tar = true;
  CHECK(make_file_source(job).error().code == PYRO_ERROR_INVALID);
  job.local_path = "/dev/null";
  job.is_tar = false;
  CHECK(make_file_source(job).error().code == PYRO_ERROR_INVALID);
}

TEST_CASE("entries: in pieces of any size → items and JSON, a binary name with its bytes") {
  base::Bytes bytes = framed(entry_of("a"));
  const base::Bytes second = framed(entry_of("\xff"));
  bytes.insert(bytes.end(), second.begin(), second.end());
  const auto request = request_of(wire::FileVerb::list);
  EntryCollector collector(request);
  for (const std::byte& byte : bytes) {
    REQUIRE(collector.feed(base::ByteView(&byte, 1)).ok());
  }
  CHECK(collector.is_whole());
  auto files = collector.take();
  make_json(*files, "k7dq2mxw4zpa", "dir", wire::FileVerb::list);
  files->seal(false);
  REQUIRE(files->count == 2);
  CHECK(std::string(files->items[1]->path) == "\xff");
  CHECK(files->items[0]->size_bytes == 5);
  CHECK(files->json_text.find(R"("path":"a","type":"file","mode":"0644")") != std::string::npos);
  CHECK(files->json_text.find(R"("path_base64":"/w==")") != std::string::npos);
}

TEST_CASE("entries: more than asked for, malformed, or cut off → noticed") {
  const auto one = request_of(wire::FileVerb::list, "dir", 1);
  const auto many = request_of(wire::FileVerb::list);
  EntryCollector few(one);
  REQUIRE(few.feed(framed(entry_of("a"))).ok());
  CHECK_FALSE(few.feed(framed(entry_of("b"))).ok());
  EntryCollector broken(many);
  CHECK_FALSE(broken.feed(base::Bytes(8, std::byte{0xff})).ok());
  EntryCollector cut(many);
  const auto bytes = framed(entry_of("a"));
  REQUIRE(cut.feed(base::ByteView(bytes).first(bytes.size() - 1)).ok());
  CHECK_FALSE(cut.is_whole());
}

TEST_CASE(
    "entries: a hostile guest → only names of the directory, below it in order and once, and what was asked for") {
  using wire::FileChange;
  using wire::FileVerb;
  const auto list = request_of(FileVerb::list);
  auto recursive = list;
  recursive.recursive = true;
  CHECK(takes(list, {}));
  CHECK(takes(list, {entry_of("A"), entry_of("a"), entry_of("a\nb"), entry_of("\xff")}));
  CHECK(takes(recursive, {entry_of("a"), entry_of("a/b"), entry_of("a.txt")}));
  for (const char* path : {"/etc", "/", "..", ".", "a/..", "../a", "a/./b", "a//b", "a/"}) {
    CAPTURE(path);
    CHECK_FALSE(takes(list, {entry_of(path)}));
    CHECK_FALSE(takes(recursive, {entry_of(path)}));
    CHECK_FALSE(takes(request_of(FileVerb::diff), {entry_of(path, FileChange::added)}));
  }
  CHECK_FALSE(takes(list, {entry_of("a/b")}));
  CHECK_FALSE(takes(list, {entry_of(std::string("a\0b", 3))}));
  CHECK_FALSE(takes(list, {entry_of("a"), entry_of("a")}));
  CHECK_FALSE(takes(list, {entry_of("b"), entry_of("a")}));
  CHECK_FALSE(takes(recursive, {entry_of("a.txt"), entry_of("a/b")}));
  CHECK_FALSE(takes(list, {entry_of("a", FileChange::added)}));
  CHECK(takes(request_of(FileVerb::diff), {entry_of("a", FileChange::removed), entry_of("a/b", FileChange::changed)}));
  CHECK_FALSE(takes(request_of(FileVerb::diff), {entry_of("a")}));
}

TEST_CASE("entries: a stat → one entry, of the path that was asked for, or it is malformed") {
  const auto request = request_of(wire::FileVerb::stat, "../x");
  CHECK(takes(request, {entry_of("../x")}));
  CHECK_FALSE(takes(request, {}));
  CHECK_FALSE(takes(request, {entry_of("x")}));
  CHECK_FALSE(takes(request, {entry_of("../x"), entry_of("../x")}));
}
