#include "tree/tar.hpp"

#include "base/text.hpp"
#include "tree/tar_format.hpp"

#include <algorithm>
#include <cstring>

namespace pyro::tree {

using base::Bytes;

namespace {

// What 11 octal digits hold.
constexpr std::uint64_t kMaxOctal = (std::uint64_t{1} << 33) - 1;

void put_text(base::Bytes& block, TarField field, std::string_view text) {
  std::memcpy(block.data() + field.offset, text.data(), std::min(text.size(), field.size));
}

void put_octal(Bytes& block, TarField field, std::uint64_t value) {
  for (std::size_t i = field.size - 1; i-- > 0;) {
    block[field.offset + i] = static_cast<std::byte>('0' + (value & 7));
    value >>= 3;
  }
}

void put_checksum(Bytes& block) {
  std::fill_n(block.begin() + kTarChecksum.offset, kTarChecksum.size, std::byte{' '});
  std::uint64_t sum = 0;
  for (const std::byte byte : block) {
    sum += static_cast<std::uint64_t>(byte);
  }
  put_octal(block, {kTarChecksum.offset, 7}, sum);
  block[kTarChecksum.offset + 6] = std::byte{0};
}

char type_flag(EntryType type) noexcept {
  switch (type) {
    case EntryType::hard_link:
      return '1';
    case EntryType::symlink:
      return '2';
    case EntryType::directory:
      return '5';
    default:
      return '0';
  }
}

Bytes make_block(char type, std::string_view name, std::string_view link, std::uint32_t mode, std::uint64_t size,
                 std::uint64_t mtime) {
  Bytes block(kTarBlockBytes);
  put_text(block, kTarName, name);
  put_octal(block, kTarMode, mode & 07777);
  // Whose a file was does not travel: the other side has users of its own.
  put_octal(block, kTarUid, 0);
  put_octal(block, kTarGid, 0);
  put_octal(block, kTarSize, size);
  put_octal(block, kTarMtime, mtime);
  block[kTarType.offset] = static_cast<std::byte>(type);
  put_text(block, kTarLink, link);
  put_text(block, kTarMagic,
           std::string_view("ustar\0"
                            "00",
                            8));
  put_checksum(block);
  return block;
}

// "<length> <key>=<value>\n", where length counts itself.
void add_record(std::string& records, std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (rest + std::to_string(length).size() != length) {
    length = rest + std::to_string(length).size();
  }
  records += std::to_string(length);
  records.append(" ").append(key).append("=").append(value).append("\n");
}

std::string pax_records(const TarEntry& entry, const std::string& path) {
  std::string records;
  const bool long_path = path.size() > kTarName.size;
  const bool long_link = entry.link.size() > kTarLink.size;
  if ((long_path && base::to_utf8(path) != path) || (long_link && base::to_utf8(entry.link) != entry.link)) {
    // Else readers would take the bytes for UTF-8.
    add_record(records, "hdrcharset", "BINARY");
  }
  if (long_path) {
    add_record(records, "path", path);
  }
  if (long_link) {
    add_record(records, "linkpath", entry.link);
  }
  if (entry.size > kMaxOctal) {
    add_record(records, "size", std::to_string(entry.size));
  }
  if (entry.mtime < 0 || static_cast<std::uint64_t>(entry.mtime) > kMaxOctal) {
    add_record(records, "mtime", std::to_string(entry.mtime));
  }
  return records;
}

}  // namespace

Bytes tar_header(const TarEntry& entry) {
  const std::string path = entry.type == EntryType::directory ? entry.path + "/" : entry.path;
  const std::string records = pax_records(entry, path);
  Bytes out;
  if (!records.empty()) {
    out = make_block('x', "pax_header", "", 0644, records.size(), 0);
    const auto bytes = base::as_bytes(records);
    out.insert(out.end(), bytes.begin(), bytes.end());
    out.resize(out.size() + tar_padding(records.size()));
  }
  const std::uint64_t mtime =
      entry.mtime < 0 ? 0 : std::min<std::uint64_t>(static_cast<std::uint64_t>(entry.mtime), kMaxOctal);
  const Bytes block =
      make_block(type_flag(entry.type), path, entry.link, entry.mode, std::min(entry.size, kMaxOctal), mtime);
  out.insert(out.end(), block.begin(), block.end());
  return out;
}

}  // namespace pyro::tree
