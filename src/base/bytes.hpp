// Little-endian encoding and bounds-checked decoding, for wire messages and files.
// A ByteReader never reads past its input: after the first short read it stays failed and
// every further read gives zero or empty, so that a decoder may check once, at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pyro::base {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

inline ByteView as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ByteWriter {
 public:
  void u8(std::uint8_t value) { put(value, 1); }
  void u16(std::uint16_t value) { put(value, 2); }
  void u32(std::uint32_t value) { put(value, 4); }
  void u64(std::uint64_t value) { put(value, 8); }
  void i32(std::int32_t value) { u32(static_cast<std::uint32_t>(value)); }
  void raw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  /// A u32 length, then the bytes.
  void text(std::string_view value) {
    u32(static_cast<std::uint32_t>(value.size()));
    raw(as_bytes(value));
  }
  /// A u32 count, then each as text().
  void texts(const std::vector<std::string>& values) {
    u32(static_cast<std::uint32_t>(values.size()));
    for (const auto& value : values) {
      text(value);
    }
  }
  [[nodiscard]] Bytes take() && { return std::move(out_); }
  [[nodiscard]] ByteView view() const noexcept { return out_; }

 private:
  void put(std::uint64_t value, int width) {
    for (int i = 0; i < width; ++i) {
      out_.push_back(static_cast<std::byte>(value >> (8 * i)));
    }
  }
  Bytes out_;
};

class ByteReader {
 public:
  explicit ByteReader(ByteView in) noexcept : in_(in) {}

  std::uint8_t u8() noexcept { return static_cast<std::uint8_t>(get(1)); }
  std::uint16_t u16() noexcept { return static_cast<std::uint16_t>(get(2)); }
  std::uint32_t u32() noexcept { return static_cast<std::uint32_t>(get(4)); }
  std::uint64_t u64() noexcept { return get(8); }
  std::int32_t i32() noexcept { return static_cast<std::int32_t>(u32()); }
  /// The next `size` bytes, borrowed from the input.
  ByteView raw(std::size_t size) noexcept {
    if (size > in_.size()) {
      fail();
      return {};
    }
    const ByteView out = in_.first(size);
    in_ = in_.subspan(size);
    return out;
  }
  std::string text() { return std::string(as_text(raw(u32()))); }
  std::vector<std::string> texts() {
    const std::uint32_t count = u32();
    std::vector<std::string> out;
    // Each text takes at least its four length bytes, so a count the input cannot hold allocates nothing.
    if (count > in_.size() / 4) {
      fail();
      return out;
    }
    out.reserve(count);
    for (std::uint32_t i = 0; i < count && !failed_; ++i) {
      out.push_back(text());
    }
    return out;
  }
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] std::size_t remaining() const noexcept { return in_.size(); }
  /// True when all input was read and no read was short.
  [[nodiscard]] bool finished() const noexcept { return !failed_ && in_.empty(); }

 private:
  void fail() noexcept {
    failed_ = true;
    in_ = {};
  }
  std::uint64_t get(std::size_t width) noexcept {
    const ByteView bytes = raw(width);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      value |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
    }
    return value;
  }
  ByteView in_;
  bool failed_ = false;
};

}  // namespace pyro::base
