#include "client/file_result.hpp"

#include "base/text.hpp"
#include "tree/paths.hpp"

#include <cctype>

#include <boost/json.hpp>

namespace json = boost::json;

namespace pyro::client {

namespace {

constexpr const char* kTypes[] = {"other", "file", "directory", "symlink"};
constexpr const char* kChanges[] = {"", "added", "changed", "removed"};

// RFC 4648, with padding.
std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto part = bytes.substr(i, 3);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (j < part.size() ? static_cast<unsigned char>(part[j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= part.size() ? digits[bits >> (18 - 6 * j) & 63] : '=';
    }
  }
  return out;
}

void add_bytes(json::object& out, const char* name, std::string_view bytes) {
  const std::string text = base::to_utf8(bytes);
  out[name] = json::string(text);
  if (text != bytes) {
    out[std::string(name) + "_base64"] = json::string(base64(bytes));
  }
}

json::object to_json(const pyro_file_info& row) {
  json::object out;
  add_bytes(out, "path", row.path);
  if (row.change != PYRO_FILE_NOT_COMPARED) {
    out["change"] = kChanges[row.change];
  }
  out["type"] = kTypes[row.type];
  if (row.type == PYRO_FILE_SYMLINK) {
    add_bytes(out, "target", row.target);
  }
  out["mode"] = json::string(fmt::format("{:04o}", row.mode));
  out["uid"] = row.uid;
  out["gid"] = row.gid;
  out["size_bytes"] = row.size_bytes;
  out["mtime_ns"] = row.mtime_ns;
  return out;
}

}  // namespace

base::Status EntryCollector::feed(base::ByteView bytes) {
  const auto broken = [] { return base::make_error(PYRO_ERROR_INTERNAL, "the guest sent a malformed list of files"); };
  total_bytes_ += bytes.size();
  // A guest may send its last entry beyond the limit it keeps itself.
  if (total_bytes_ > wire::kMaxEntryListBytes + wire::kMaxEntryBytes) {
    return broken();
  }
  const std::uint64_t max_entries = request_.verb == wire::FileVerb::stat ? 1 : request_.max_entries;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  base::ByteView rest = buffer_;
  while (rest.size() >= sizeof(std::uint32_t)) {
    const std::uint32_t size = base::ByteReader(rest).u32();
    if (size > wire::kMaxEntryBytes || files_->rows.size() == max_entries) {
      return broken();
    }
    if (rest.size() < sizeof size + size) {
      break;
    }
    PYRO_TRY_ASSIGN(auto entry, wire::FileEntry::decode(rest.subspan(sizeof size, size)));
    if (!is_expected(entry)) {
      return broken();
    }
    add(std::move(entry));
    rest = rest.subspan(sizeof size + size);
  }
  buffer_.erase(buffer_.begin(), buffer_.end() - static_cast<std::ptrdiff_t>(rest.size()));
  return base::success();
}

bool EntryCollector::is_expected(const wire::FileEntry& entry) const {
  if (request_.verb == wire::FileVerb::stat) {
    return entry.path == request_.path && entry.change == wire::FileChange::none;
  }
  const bool is_diff = request_.verb == wire::FileVerb::diff;
  const bool is_below = is_diff || request_.recursive || entry.path.find('/') == std::string::npos;
  return is_below && is_diff == (entry.change != wire::FileChange::none) && tree::is_plain(entry.path) &&
         (files_->rows.empty() || tree::comes_before(files_->rows.back().path, entry.path));
}

bool EntryCollector::is_whole() const noexcept {
  return buffer_.empty() && (request_.verb != wire::FileVerb::stat || files_->rows.size() == 1);
}

void EntryCollector::add(wire::FileEntry entry) {
  pyro_file_info row{};
  row.struct_size = sizeof row;
  row.type = static_cast<std::uint32_t>(entry.type);
  row.change = static_cast<std::uint32_t>(entry.change);
  row.mode = entry.mode;
  row.uid = entry.uid;
  row.gid = entry.gid;
  row.path = files_->keep(std::move(entry.path));
  row.target = entry.target.empty() ? "" : files_->keep(std::move(entry.target));
  row.size_bytes = entry.size;
  row.mtime_ns = entry.mtime_ns;
  files_->rows.push_back(row);
}

void make_json(OwnedFiles& files, const std::string& task_id, const std::string& path, wire::FileVerb verb) {
  json::object out{{"task_id", task_id}};
  add_bytes(out, "path", path);
  switch (verb) {
    case wire::FileVerb::stat:
      out["file"] = to_json(files.rows.front());
      break;
    case wire::FileVerb::list:
    case wire::FileVerb::diff: {
      json::array rows;
      rows.reserve(files.rows.size());
      for (const auto& row : files.rows) {
        rows.push_back(to_json(row));
      }
      out["files"] = std::move(rows);
      out["truncated"] = files.truncated != 0;
      break;
    }
    case wire::FileVerb::read:
      out["file_size_bytes"] = files.file_size_bytes;
      out["byte_count"] = files.byte_count;
      out["truncated"] = files.truncated != 0;
      break;
    default:
      out["entry_count"] = files.entry_count;
      out["byte_count"] = files.byte_count;
      out["skipped_count"] = files.skipped_count;
      out["changed_count"] = files.changed_count;
  }
  files.json_text = json::serialize(out);
}

}  // namespace pyro::client
