#include "wire/file_messages.hpp"

#include "wire/frame.hpp"
#include "wire/malformed.hpp"

namespace pyro::wire {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;
using base::Result;

namespace {

constexpr std::size_t kMaxFileMessageBytes = 8 * 1024;
constexpr std::uint32_t kModeBits = 07777;

bool is_path(const std::string& path) {
  return path.size() <= kMaxFilePathBytes && path.find('\0') == std::string::npos;
}

// 0 and 1, or the message is refused.
bool read_flag(ByteReader& in, bool& broken) {
  const std::uint8_t value = in.u8();
  broken = broken || value > 1;
  return value == 1;
}

}  // namespace

Bytes FileRequest::encode() const {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(verb));
  out.text(path);
  for (const bool flag : {recursive, parents, exclusive, single_file, sets_baseline}) {
    out.u8(flag ? 1 : 0);
  }
  out.u32(mode);
  out.u64(offset);
  out.u64(max_bytes);
  out.u64(max_entries);
  out.u32(max_path_bytes);
  return std::move(out).take();
}

Result<FileRequest> FileRequest::decode(ByteView payload) {
  ByteReader in(payload);
  FileRequest request;
  bool broken = false;
  const std::uint8_t verb = in.u8();
  request.path = in.text();
  for (bool* flag :
       {&request.recursive, &request.parents, &request.exclusive, &request.single_file, &request.sets_baseline}) {
    *flag = read_flag(in, broken);
  }
  request.mode = in.u32();
  request.offset = in.u64();
  request.max_bytes = in.u64();
  request.max_entries = in.u64();
  request.max_path_bytes = in.u32();
  request.verb = static_cast<FileVerb>(verb);
  if (!in.finished() || broken || verb < static_cast<std::uint8_t>(FileVerb::read) ||
      verb > static_cast<std::uint8_t>(FileVerb::diff) || request.path.empty() || !is_path(request.path) ||
      (request.mode > kModeBits && request.mode != kDefaultMode) || request.max_path_bytes == 0 ||
      request.max_path_bytes > kMaxFilePathBytes) {
    return malformed("file request");
  }
  return request;
}

Bytes FileEntry::encode() const {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(change));
  out.u8(static_cast<std::uint8_t>(type));
  out.text(path);
  out.text(target);
  out.u32(mode);
  out.u32(uid);
  out.u32(gid);
  out.u64(size);
  out.u64(static_cast<std::uint64_t>(mtime_ns));
  out.u64(static_cast<std::uint64_t>(ctime_ns));
  return std::move(out).take();
}

Result<FileEntry> FileEntry::decode(ByteView payload) {
  ByteReader in(payload);
  FileEntry entry;
  const std::uint8_t change = in.u8();
  const std::uint8_t type = in.u8();
  entry.path = in.text();
  entry.target = in.text();
  entry.mode = in.u32();
  entry.uid = in.u32();
  entry.gid = in.u32();
  entry.size = in.u64();
  entry.mtime_ns = static_cast<std::int64_t>(in.u64());
  entry.ctime_ns = static_cast<std::int64_t>(in.u64());
  entry.change = static_cast<FileChange>(change);
  entry.type = static_cast<FileType>(type);
  if (!in.finished() || change > 3 || type > 3 || entry.path.empty() || !is_path(entry.path) ||
      !is_path(entry.target) || entry.mode > kModeBits) {
    return malformed("file entry");
  }
  return entry;
}

Bytes FileReport::encode() const {
  ByteWriter out;
  out.i32(status);
  out.text(message.size() <= kMaxFileMessageBytes ? message : message.substr(0, kMaxFileMessageBytes));
  out.u8(truncated ? 1 : 0);
  for (const std::uint64_t number : {size, entries, bytes, skipped, changed}) {
    out.u64(number);
  }
  return std::move(out).take();
}

Result<FileReport> FileReport::decode(ByteView payload) {
  ByteReader in(payload);
  FileReport report;
  bool broken = false;
  const auto status = base::to_status(in.i32());
  report.message = in.text();
  report.truncated = read_flag(in, broken);
  for (std::uint64_t* number : {&report.size, &report.entries, &report.bytes, &report.skipped, &report.changed}) {
    *number = in.u64();
  }
  broken = broken || !status;
  report.status = status.value_or(PYRO_ERROR_INTERNAL);
  // A guest says what is wrong with files; what became of VMs and operations is not its to say.
  switch (report.status) {
    case PYRO_OK:
    case PYRO_ERROR_INVALID:
    case PYRO_ERROR_NOT_FOUND:
    case PYRO_ERROR_EXISTS:
    case PYRO_ERROR_STATE:
    case PYRO_ERROR_UNSUPPORTED:
    case PYRO_ERROR_LIMIT:
    case PYRO_ERROR_INTERNAL:
      break;
    default:
      broken = true;
  }
  if (!in.finished() || broken || report.message.size() > kMaxFileMessageBytes) {
    return malformed("file report");
  }
  return report;
}

}  // namespace pyro::wire
