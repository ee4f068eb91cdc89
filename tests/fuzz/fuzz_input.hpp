// Taking an input apart, and what the fuzz targets of devices share.
#pragma once

#include "fake_driver.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

namespace pyro::devices::test {

inline void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data, size) {}

  [[nodiscard]] bool empty() const { return data_.empty(); }
  /// The next number; zero bytes when the input has ended.
  template <typename T>
  T take() {
    T value{};
    const auto bytes = take_bytes(sizeof(T));
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  /// Up to `size` bytes.
  base::ByteView take_bytes(std::size_t size) {
    const auto bytes = data_.first(std::min(size, data_.size()));
    data_ = data_.subspan(bytes.size());
    return std::as_bytes(bytes);
  }

 private:
  std::span<const std::uint8_t> data_;
};

/// Where FakeDriver puts rings, and a little behind it: what a hostile guest would write to.
inline constexpr std::uint64_t kFuzzedGpa = 0x10000;
inline constexpr std::uint64_t kFuzzedBytes = 0x4000;

/// One memory for all inputs; the fuzzed part is zero again.
inline const memory::GuestMemory& fresh_memory() {
  static const memory::GuestMemory memory = make_memory();
  const auto fuzzed = memory.slice(kFuzzedGpa, kFuzzedBytes);
  std::fill(fuzzed->begin(), fuzzed->end(), std::byte{0});
  return memory;
}

/// Writes the next bytes of the input somewhere into the fuzzed part.
inline void scribble(Input& input, const memory::GuestMemory& memory) {
  const std::uint64_t offset = input.take<std::uint16_t>() % kFuzzedBytes;
  const base::ByteView bytes = input.take_bytes(input.take<std::uint8_t>());
  require(memory.write(kFuzzedGpa + offset, bytes));
}

}  // namespace pyro::devices::test
