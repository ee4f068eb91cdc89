// Tar streams of a guest.
// Invariants: the reader gives the same in pieces of any size; an entry's content is as long as its header said; what was
// read and is written again is read as the same entry.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "tree/tar.hpp"

namespace {

using namespace pyro::tree;
using pyro::base::Bytes;
using pyro::base::ByteView;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

struct Seen {
  std::vector<std::string> headers;
  std::uint64_t content_bytes = 0;
  bool broken = false;
  bool ended = false;

  bool operator==(const Seen&) const = default;
};

std::string header_of(const TarEntry& entry) {
  std::string out = std::to_string(static_cast<int>(entry.type)) + " " + std::to_string(entry.mode) + " " +
                    std::to_string(entry.size) + " " + std::to_string(entry.mtime) + " ";
  return out + entry.path + " -> " + entry.link;
}

void check_entry(const TarEntry& entry) {
  require(!entry.path.empty() && entry.path.find('\0') == std::string::npos);
  require(entry.link.find('\0') == std::string::npos && entry.mode <= 07777);
  require(entry.type == EntryType::file || entry.size == 0);
  if (entry.type == EntryType::other || entry.path.ends_with('/')) {
    return;
  }
  const Bytes header = tar_header(entry);
  require(header.size() % kTarBlockBytes == 0);
  ByteView in(header);
  TarReader reader;
  const auto step = reader.next(in);
  require(step.ok() && step->kind == TarReader::Kind::entry);
  const bool is_directory = entry.type == EntryType::directory;
  require(reader.entry().path == entry.path + (is_directory ? "/" : ""));
  require(reader.entry().size == entry.size && reader.entry().link == entry.link &&
          reader.entry().mtime == entry.mtime);
}

Seen read(ByteView stream, std::size_t piece_bytes) {
  Seen seen;
  TarReader reader;
  std::uint64_t left = 0;
  while (!stream.empty() && !seen.broken) {
    ByteView piece = stream.first(std::min(piece_bytes, stream.size()));
    stream = stream.subspan(piece.size());
    while (true) {
      const auto step = reader.next(piece);
      if (!step.ok()) {
        seen.broken = true;
        break;
      }
      if (step->kind == TarReader::Kind::more || step->kind == TarReader::Kind::end) {
        seen.ended = step->kind == TarReader::Kind::end;
        break;
      }
      if (step->kind == TarReader::Kind::entry) {
        require(left == 0);
        left = reader.entry().size;
        check_entry(reader.entry());
        seen.headers.push_back(header_of(reader.entry()));
      } else {
        require(!step->data.empty() && step->data.size() <= left);
        left -= step->data.size();
        seen.content_bytes += step->data.size();
        require(reader.left_bytes() == left);
      }
    }
  }
  require(!seen.ended || left == 0);
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView stream(reinterpret_cast<const std::byte*>(data), size);
  const Seen whole = read(stream, size);
  require(read(stream, 1) == whole);
  require(read(stream, 513) == whole);
  return 0;
}
