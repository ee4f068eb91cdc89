#include "wire/file_messages.hpp"

#include "wire/messages.hpp"

#include <string>

#include <doctest/doctest.h>

namespace pyro::wire {

namespace {

FileRequest request() {
  FileRequest message;
  message.verb = FileVerb::upload;
  message.path = "/workspace/\xff";
  message.parents = true;
  message.sets_baseline = true;
  message.mode = 0640;
  message.offset = 1;
  message.max_bytes = std::uint64_t{1} << 60;
  message.max_entries = 2;
  message.max_path_bytes = 3;
  return message;
}

FileEntry entry() {
  FileEntry message;
  message.change = FileChange::changed;
  message.type = FileType::symlink;
  message.path = "a\xff";
  message.target = "/b";
  message.mode = 0777;
  message.uid = 1;
  message.gid = 2;
  message.size = 3;
  message.mtime_ns = -4;
  message.ctime_ns = 5;
  return message;
}

FileReport report() {
  FileReport message;
  message.status = PYRO_ERROR_NOT_FOUND;
  message.message = "no";
  message.truncated = true;
  message.size = 1;
  message.entries = 2;
  message.bytes = 3;
  message.skipped = 4;
  message.changed = 5;
  return message;
}

// Every message: comes back as it was; cut, longer, or changed by `spoil` it is refused.
template <typename Message>
void check_round_trip(const Message& message) {
  const base::Bytes bytes = message.encode();
  const auto decoded = Message::decode(bytes);
  REQUIRE(decoded.ok());
  CHECK(decoded->encode() == bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(Message::decode(base::ByteView(bytes).first(size)).ok());
  }
  base::Bytes longer = bytes;
  longer.push_back(std::byte{0});
  CHECK_FALSE(Message::decode(longer).ok());
}

template <typename Message, typename Spoil>
bool is_refused(Message message, Spoil spoil) {
  spoil(message);
  return !Message::decode(message.encode()).ok();
}

}  // namespace

TEST_SUITE("wire") {
  TEST_CASE("file messages: each → comes back as it was, and is refused if cut or longer") {
    check_round_trip(request());
    check_round_trip(entry());
    check_round_trip(report());
  }

  TEST_CASE("file request: what makes no sense → refused") {
    CHECK(is_refused(request(), [](FileRequest& m) { m.verb = static_cast<FileVerb>(0); }));
    CHECK(is_refused(request(), [](FileRequest& m) { m.verb = static_cast<FileVerb>(10); }));
    CHECK(is_refused(request(), [](FileRequest& m) { m.path.clear(); }));
    CHECK(is_refused(request(), [](FileRequest& m) { m.path = std::string("a\0b", 3); }));
    CHECK(is_refused(request(), [](FileRequest& m) { m.path.assign(4096, 'p'); }));
    CHECK(is_refused(request(), [](FileRequest& m) { m.mode = 010000; }));
    CHECK(is_refused(request(), [](FileRequest& m) { m.max_path_bytes = 0; }));
    CHECK(is_refused(request(), [](FileRequest& m) { m.max_path_bytes = 4096; }));
    base::Bytes bytes = request().encode();
    // The first flag, behind the verb and the path.
    bytes[1 + 4 + request().path.size()] = std::byte{2};
    CHECK_FALSE(FileRequest::decode(bytes).ok());
  }

  TEST_CASE("file entry: what a guest may not send → refused") {
    CHECK(is_refused(entry(), [](FileEntry& m) { m.change = static_cast<FileChange>(4); }));
    CHECK(is_refused(entry(), [](FileEntry& m) { m.type = static_cast<FileType>(4); }));
    CHECK(is_refused(entry(), [](FileEntry& m) { m.path.clear(); }));
    CHECK(is_refused(entry(), [](FileEntry& m) { m.path = std::string("\0", 1); }));
    CHECK(is_refused(entry(), [](FileEntry& m) { m.target.assign(4096, 't'); }));
    CHECK(is_refused(entry(), [](FileEntry& m) { m.mode = 010000; }));
    CHECK(entry().encode().size() <= kMaxEntryBytes);
  }

  TEST_CASE("file report: a status that is not the guest's to give → refused") {
    for (const pyro_status status :
         {PYRO_AGAIN, PYRO_ERROR_FORKED, PYRO_ERROR_NOT_STARTED, PYRO_ERROR_OUTCOME_UNKNOWN, PYRO_ERROR_CANCELLED,
          PYRO_ERROR_BOOT, static_cast<pyro_status>(7), static_cast<pyro_status>(PYRO_ERROR_INTERNAL + 1)}) {
      CHECK(is_refused(report(), [status](FileReport& m) { m.status = status; }));
    }
  }

  TEST_CASE("exec: with a file request → comes back as it was; one that is too long → refused") {
    Exec exec;
    exec.argv = {"read", "/workspace/a"};
    exec.file_request = request().encode();
    exec.ends_with_client = true;
    const auto decoded = Exec::decode(exec.encode());
    REQUIRE(decoded.ok());
    CHECK(decoded->file_request == exec.file_request);
    CHECK(decoded->ends_with_client);
    exec.file_request.resize(kMaxFileRequestBytes + 1);
    CHECK_FALSE(Exec::decode(exec.encode()).ok());
  }
}

}  // namespace pyro::wire
