#include "tree/tar.hpp"

#include "tree/tar_format.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <string_view>

namespace pyro::tree {

using base::ByteView;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kMaxSize = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
using Block = std::array<std::byte, kTarBlockBytes>;

base::Error malformed(std::string_view what) {
  return base::make_error(PYRO_ERROR_INVALID, "not a tar stream, or a damaged one: {}", what);
}

base::Error sparse() {
  return base::make_error(PYRO_ERROR_UNSUPPORTED,
                          "the tar has a sparse file, which is not supported: make it without --sparse");
}

std::string_view field_text(const Block& block, TarField field) {
  const auto text = base::as_text(ByteView(block).subspan(field.offset, field.size));
  return text.substr(0, text.find('\0'));
}

bool is_zero(const Block& block) {
  return std::all_of(block.begin(), block.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

// Octal digits between blanks, or base 256 with the highest bit set (GNU).
std::optional<std::int64_t> parse_number(const Block& block, TarField field) {
  const auto bytes = ByteView(block).subspan(field.offset, field.size);
  const auto first = static_cast<unsigned>(bytes[0]);
  if ((first & 0x80U) != 0) {
    if (first != 0x80 && first != 0xff) {
      return std::nullopt;
    }
    const bool negative = first == 0xff;
    const std::byte filler = negative ? std::byte{0xff} : std::byte{0};
    std::uint64_t value = negative ? std::numeric_limits<std::uint64_t>::max() : 0;
    for (std::size_t i = 1; i < bytes.size(); ++i) {
      if (i + 8 < bytes.size() && bytes[i] != filler) {
        return std::nullopt;
      }
      value = (value << 8) | static_cast<std::uint64_t>(bytes[i]);
    }
    const auto number = static_cast<std::int64_t>(value);
    return (number < 0) == negative ? std::optional(number) : std::nullopt;
  }
  auto text = base::as_text(bytes);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::uint64_t value = 0;
  std::size_t digits = 0;
  // 12 digits of 3 bits: cannot overflow.
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '7') {
    value = value << 3 | static_cast<std::uint64_t>(text[digits] - '0');
    ++digits;
  }
  if (text.find_first_not_of(std::string_view(" \0", 2), digits) != std::string_view::npos) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(value);
}

bool checksum_fits(const Block& block) {
  const auto given = parse_number(block, kTarChecksum);
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool own = i >= kTarChecksum.offset && i < kTarChecksum.offset + kTarChecksum.size;
    sum += own ? ' ' : static_cast<std::int64_t>(block[i]);
  }
  return given == sum;
}

// All of `text` as a decimal number; a fraction is dropped if it may have one.
template <typename Number>
std::optional<Number> parse_decimal(std::string_view text, bool has_fraction = false) {
  if (has_fraction) {
    const auto point = text.find('.');
    if (point != std::string_view::npos && text.find_first_not_of("0123456789", point + 1) != std::string_view::npos) {
      return std::nullopt;
    }
    text = text.substr(0, point);
  }
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::string header_path(const Block& block) {
  const std::string name(field_text(block, kTarName));
  // GNU's old format has other things where ustar has a prefix.
  const bool is_ustar = base::as_text(ByteView(block).subspan(kTarMagic.offset, 6)) == std::string_view("ustar\0", 6);
  const auto prefix = is_ustar ? field_text(block, kTarPrefix) : std::string_view();
  return prefix.empty() ? name : std::string(prefix) + "/" + name;
}

std::optional<EntryType> entry_type(char flag, const std::string& path) {
  switch (flag) {
    case '\0':
    case '0':
    case '7':  // "contiguous": a file all the same
      // Before ustar a slash was all that told a directory.
      return path.ends_with('/') ? EntryType::directory : EntryType::file;
    case '1':
      return EntryType::hard_link;
    case '2':
      return EntryType::symlink;
    case '3':
    case '4':
    case '6':
      return EntryType::other;
    case '5':
      return EntryType::directory;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<TarReader::Step> TarReader::next(ByteView& in) {
  auto step = advance(in);
  if (!step.ok()) {
    state_ = State::dead;
  }
  return step;
}

Result<TarReader::Step> TarReader::advance(ByteView& in) {
  while (true) {
    switch (state_) {
      case State::ended:
        return Step{Kind::end, {}};
      case State::dead:
        return malformed("it was refused before");
      case State::data: {
        if (left_ == 0) {
          state_ = State::padding;
          continue;
        }
        if (in.empty()) {
          return Step{Kind::more, {}};
        }
        const ByteView data = in.first(static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size())));
        in = in.subspan(data.size());
        left_ -= data.size();
        return Step{Kind::data, data};
      }
      case State::padding: {
        const std::size_t now = std::min(padding_, in.size());
        in = in.subspan(now);
        padding_ -= now;
        if (padding_ > 0) {
          return Step{Kind::more, {}};
        }
        state_ = State::header;
        continue;
      }
      case State::extension: {
        const ByteView data = in.first(static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size())));
        in = in.subspan(data.size());
        left_ -= data.size();
        extension_ += base::as_text(data);
        if (left_ > 0) {
          return Step{Kind::more, {}};
        }
        PYRO_TRY(finish_extension());
        state_ = State::padding;
        continue;
      }
      case State::header: {
        const std::size_t now = std::min(block_.size() - block_size_, in.size());
        std::copy_n(in.begin(), now, block_.begin() + static_cast<std::ptrdiff_t>(block_size_));
        in = in.subspan(now);
        block_size_ += now;
        if (block_size_ < block_.size()) {
          return Step{Kind::more, {}};
        }
        block_size_ = 0;
        PYRO_TRY_ASSIGN(const bool is_entry, take_header());
        if (is_entry) {
          return Step{Kind::entry, {}};
        }
        continue;
      }
    }
  }
}

// False: the block was none of an entry.
Result<bool> TarReader::take_header() {
  if (is_zero(block_)) {
    if (saw_zero_block_) {
      state_ = State::ended;
    }
    saw_zero_block_ = true;
    return false;
  }
  if (saw_zero_block_) {
    return malformed("it goes on behind its end");
  }
  if (!checksum_fits(block_)) {
    return malformed("a header's checksum is wrong");
  }
  const auto mode = parse_number(block_, kTarMode);
  const auto mtime = parse_number(block_, kTarMtime);
  auto size = parse_number(block_, kTarSize);
  if (!mode || *mode < 0 || !size || *size < 0 || !mtime) {
    return malformed("a header has a number out of range");
  }
  const auto flag = static_cast<char>(block_[kTarType.offset]);
  if (flag == 'S') {
    return sparse();
  }
  if (flag == 'x' || flag == 'g' || flag == 'L' || flag == 'K') {
    PYRO_TRY(start_extension(flag, static_cast<std::uint64_t>(*size)));
    return false;
  }
  if (overrides_.size) {
    size = static_cast<std::int64_t>(*overrides_.size);
  }
  entry_.path = overrides_.path ? std::move(*overrides_.path) : header_path(block_);
  entry_.link = overrides_.link ? std::move(*overrides_.link) : std::string(field_text(block_, kTarLink));
  entry_.mtime = overrides_.mtime.value_or(*mtime);
  entry_.mode = static_cast<std::uint32_t>(*mode & 07777);
  entry_.size = static_cast<std::uint64_t>(*size);
  overrides_ = {};
  extensions_ = 0;
  const auto type = entry_type(flag, entry_.path);
  if (!type) {
    return malformed(fmt::format("an entry is of type {}, which nobody knows", static_cast<unsigned char>(flag)));
  }
  entry_.type = *type;
  if (entry_.path.empty()) {
    return malformed("an entry has no name");
  }
  if (entry_.type != EntryType::file && entry_.size != 0) {
    return malformed("an entry that has no content has a size");
  }
  if (entry_.type != EntryType::symlink && entry_.type != EntryType::hard_link) {
    entry_.link.clear();
  } else if (entry_.link.empty()) {
    return malformed("a link has no target");
  }
  left_ = entry_.size;
  padding_ = tar_padding(entry_.size);
  state_ = State::data;
  return true;
}

Status TarReader::start_extension(char type, std::uint64_t size) {
  if (size > kMaxTarExtensionBytes) {
    return malformed(fmt::format("an extension header has {} bytes, {} are possible", size, kMaxTarExtensionBytes));
  }
  if (++extensions_ > kMaxTarExtensions) {
    return malformed("there are too many extension headers before an entry");
  }
  extension_type_ = type;
  extension_.clear();
  left_ = size;
  padding_ = tar_padding(size);
  state_ = State::extension;
  return base::success();
}

Status TarReader::finish_extension() {
  if (extension_type_ == 'x') {
    return take_pax_records(extension_);
  }
  if (extension_type_ == 'g') {
    // Comments and defaults for all entries: none that matters here.
    return base::success();
  }
  std::string text = extension_.substr(0, extension_.find('\0'));
  if (text.empty()) {
    return malformed("a long name is empty");
  }
  (extension_type_ == 'L' ? overrides_.path : overrides_.link) = std::move(text);
  return base::success();
}

Status TarReader::take_pax_records(std::string_view records) {
  while (!records.empty()) {
    const auto space = records.find(' ');
    const auto length = parse_decimal<std::size_t>(records.substr(0, space));
    if (space == std::string_view::npos || !length || *length > records.size() || *length < space + 3) {
      return malformed("a pax record has a wrong length");
    }
    const auto record = records.substr(space + 1, *length - space - 1);
    const auto equals = record.find('=');
    if (record.back() != '\n' || equals == std::string_view::npos) {
      return malformed("a pax record has a wrong form");
    }
    PYRO_TRY(take_pax_record(record.substr(0, equals), record.substr(equals + 1, record.size() - equals - 2)));
    records.remove_prefix(*length);
  }
  return base::success();
}

Status TarReader::take_pax_record(std::string_view key, std::string_view value) {
  if (key.starts_with("GNU.sparse.")) {
    return sparse();
  }
  if (key == "path" || key == "linkpath") {
    if (value.empty() || value.find('\0') != std::string_view::npos) {
      return malformed("a pax name is empty or has a NUL byte");
    }
    (key == "path" ? overrides_.path : overrides_.link) = std::string(value);
  } else if (key == "size") {
    overrides_.size = parse_decimal<std::uint64_t>(value);
    if (!overrides_.size || *overrides_.size > kMaxSize) {
      return malformed("a pax size is out of range");
    }
  } else if (key == "mtime") {
    overrides_.mtime = parse_decimal<std::int64_t>(value, true);
    if (!overrides_.mtime) {
      return malformed("a pax time is out of range");
    }
  }
  return base::success();
}

}  // namespace pyro::tree
